"""The evaluation of clips against the truth of every frame."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

import score
from tools import fresh, output_of


@dataclass
class MotionResult:
    tool: str
    clips: list  # score.ClipScore
    cpu_s: float
    frames: int
    given: dict = None


def list_clips(data):
    """(clip, truth file) pairs: `DATA/motion.jsonl` names them, else every `DATA/motion/*.gt.jsonl` has its clip beside."""
    listed = data / "motion.jsonl"
    if listed.is_file():
        rows = [json.loads(line) for line in listed.read_text().splitlines()]
        return [(data / row["clip"], data / row["gt"]) for row in rows]
    return [(truth.with_name(truth.name.removesuffix(".gt.jsonl") + ".mp4"), truth)
            for truth in sorted((data / "motion").glob("*.gt.jsonl"))]


def read_truth(path):
    """Face quads by frame; raises when a frame is missing from the file."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    if [row["frame"] for row in rows] != list(range(len(rows))):
        raise ValueError(f"{path}: the frames are not numbered from 0 without a gap")
    return [[np.array(quad, np.float64) for quad in row["faces"]] for row in rows]


def frames_of(path):
    """Every displayed frame, upright, BGR, without repeating or dropping any; raises when ffmpeg complains."""
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
         "stream=width,height:stream_side_data=rotation", "-of", "json", str(path)],
        capture_output=True, text=True, check=True)
    stream = json.loads(probe.stdout)["streams"][0]
    width, height = stream["width"], stream["height"]
    if any(abs(int(side.get("rotation", 0))) % 180 == 90 for side in stream.get("side_data_list", [])):
        width, height = height, width
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0", "-vsync", "passthrough",
               "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        size = width * height * 3
        while True:
            data = process.stdout.read(size)
            if len(data) < size:
                break
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if data or process.returncode != 0:
        raise ValueError(f"{path}: decoding ended with {process.returncode}, {len(data)} bytes left over")


def evaluate(data, tools, work, limit, say):
    """One `MotionResult` for each tool."""
    clips = list_clips(data)[:limit]
    base = fresh(work / "motion")
    (base / "in").mkdir()
    for clip, _ in clips:
        shutil.copyfile(clip, base / "in" / clip.name)
    results = []
    for tool in tools:
        output = fresh(base / tool.name)
        cpu_s = tool.redact(base / "in", output, "faces")
        scores, frames = [], 0
        for clip, truth_file in clips:
            truth = read_truth(truth_file)
            frames += len(truth)
            written = output_of(output, clip.name)
            result = score.score_clip(clip.name, truth, frames_of(clip), frames_of(written) if written else ())
            if written is None:
                result.fault = "no output"
            scores.append(result)
            say(f"motion {clip.name:20} {tool.name:9} leaked {result.leaked}/{result.face_frames} face-frames, longest run "
                f"{result.longest_run}{', ' + result.fault if result.fault else ''}")
        results.append(MotionResult(tool.name, scores, cpu_s, frames, run_given_scorer(data, output)))
    return results


def run_given_scorer(data, output):
    """What the data folder's own scorer says, None if it has none."""
    scorer = data / "score_video.py"
    if not scorer.is_file() or (data / "motion.jsonl").is_file():
        return None
    done = subprocess.run([sys.executable, str(scorer), str(data / "motion"), str(output), "--json"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
