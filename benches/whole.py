"""Whole commands, in turns: withhold beside a plain transcode by ffmpeg with the same encoder settings, and deface.

    python3 benches/whole.py WITHHOLD [--deface PROGRAM] [--clip CLIP] [--rounds 3] [--seconds 8] [--parts clips,photos,batch]
                             [--report docs/bench.md]

Clips of 480p to 4K are made of one clip, photos of 2 and 12 megapixels of the demo picture, and many small ones.
The commands of a row take turns, so that a busy machine slows all of them alike: medians of the rounds are given, and
ratios are what to compare. With clips deface takes part in the first round only: it is far off, and slow. Needs ffmpeg.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO = REPOSITORY / "fixtures" / "demo"
# Name, size, share of the seconds.
CLIPS = [("480p", "854x480", 1.0), ("720p", "1280x720", 1.0), ("1080p", "1920x1080", 1.0), ("4K", "3840x2160", 0.4)]
PHOTOS = [("2 megapixels", "1632x1224"), ("12 megapixels", "4000x3000")]
SMALL_PHOTOS = 200
FFMPEG = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
# Clips that deface gets, at this preset: it has none.
DEFACE_CLIPS, DEFACE_PRESET = {"480p", "720p", "1080p"}, "veryfast"
QUIETLY = ["--overwrite", "-q", "--format", "json", "--timings"]


def run(command):
    """Wall and CPU seconds, peak memory of the largest process in MiB, standard output. Any failure ends the bench."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        words = [str(word) for word in command]
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{command[0]} ended with {child.returncode}: {errors.decode(errors='replace')[-800:]}")
        out.seek(0)
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024, "out": out.read()}


def in_turns(commands, rounds, once=()):
    """The runs of each command, by its name; those named in `once` run in the first round only."""
    runs = {}
    for number in range(rounds):
        for name, command in commands.items():
            if number == 0 or name not in once:
                runs.setdefault(name, []).append(run(command))
    return runs


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def spent(runs, phase):
    """Median wall seconds of a phase, from withhold's own report."""
    def of(one):
        timings = json.loads(one["out"].splitlines()[0])["timings"]
        return sum(t["wall_secs"] for t in timings if (t["phase"], t["part"]) == (phase, "whole"))
    return statistics.median(of(r) for r in runs)


class Bench:
    def __init__(self, args, work):
        self.args, self.work, self.lines = args, work, []

    def tell(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def ffmpeg(self, *words):
        run([*FFMPEG, *words])

    def redact(self, *words):
        return [self.args.withhold, "redact", *words, "-o", self.work / "out", *QUIETLY]

    def deface(self, source):
        """Nothing where it is not installed."""
        if not self.args.deface:
            return {}
        output = self.work / f"deface{source.suffix}"
        return {"deface": [self.args.deface, "--replacewith", "solid", "--boxes", "-o", output, source]}

    def clip(self, size, seconds):
        w, h = size.split("x")
        path = self.work / f"{size}.mp4"
        fit = f"scale={w}:{h}:force_original_aspect_ratio=increase:flags=lanczos,crop={w}:{h},setsar=1"
        self.ffmpeg("-stream_loop", "-1", "-i", self.args.clip, "-t", str(seconds), "-an", "-vf", fit,
                    "-c:v", "libx264", "-preset", "medium", "-crf", "20", "-pix_fmt", "yuv420p", path)
        return path

    def clips(self):
        self.tell("| clip | preset | ffmpeg s | withhold s | / ffmpeg | analyse | render / ffmpeg | verify | peak MiB | deface / withhold |")
        self.tell("|---|---|---|---|---|---|---|---|---|---|")
        for name, size, share in CLIPS:
            clip = self.clip(size, self.args.seconds * share)
            for preset in ("veryfast", "medium"):
                settings = ["-preset", preset, "-crf", "18", self.work / "ffmpeg.mp4"]
                commands = {"ffmpeg": [*FFMPEG, "-i", clip, "-an", "-c:v", "libx264", *settings],
                            "withhold": self.redact(clip, "--preset", preset, "--crf", "18")}
                if preset == DEFACE_PRESET and name in DEFACE_CLIPS:
                    commands |= self.deface(clip)
                runs = in_turns(commands, self.args.rounds, once={"deface"})
                floor, whole = median(runs["ffmpeg"], "wall"), median(runs["withhold"], "wall")
                analyse, render, verify = (spent(runs["withhold"], phase) for phase in ("analyze", "render", "verify"))
                peer = f"{median(runs['deface'], 'wall') / whole:.1f}" if "deface" in runs else ""
                self.tell(f"| {name} | {preset} | {floor:.1f} | {whole:.1f} | **{whole / floor:.1f}** | {analyse / whole:.0%} | "
                          f"{render / floor:.2f} | {verify / whole:.0%} | {median(runs['withhold'], 'mib'):.0f} | {peer} |")

    def photos(self):
        self.tell("| photo | withhold, faces alone: CPU s | deface: CPU s | withhold / deface | withhold, all targets: CPU s |")
        self.tell("|---|---|---|---|---|")
        for name, size in PHOTOS:
            photo = self.work / f"{size}.jpg"
            self.ffmpeg("-i", DEMO / "group.jpg", "-vf", f"scale={size.replace('x', ':')}:flags=lanczos", "-q:v", "3", photo)
            commands = {"faces": self.redact(photo, "--targets", "faces"), "all": self.redact(photo), **self.deface(photo)}
            runs = in_turns(commands, self.args.rounds)
            faces, every = median(runs["faces"], "cpu"), median(runs["all"], "cpu")
            peer = median(runs["deface"], "cpu") if "deface" in runs else None
            ratio = (f"{peer:.1f}", f"**{faces / peer:.1f}**") if peer else ("", "")
            self.tell(f"| {name} | {faces:.1f} | {ratio[0]} | {ratio[1]} | {every:.1f} |")

    def batch(self):
        """Start-up, and what a second core brings."""
        folder = self.work / "small"
        folder.mkdir()
        self.ffmpeg("-i", DEMO / "group.jpg", "-vf", "scale=320:-2", folder / "0.jpg")
        one = run(self.redact(folder / "0.jpg", "--targets", "faces"))
        dot = self.work / "dot.png"
        self.ffmpeg("-i", folder / "0.jpg", "-vf", "scale=64:64", dot)
        plan = [self.args.withhold, "analyze", dot, "-o", self.work / "dots", *QUIETLY]
        start = in_turns({"analyze": plan}, self.args.rounds)["analyze"]
        for number in range(1, SMALL_PHOTOS):
            shutil.copyfile(folder / "0.jpg", folder / f"{number}.jpg")
        photos = {jobs: self.redact(folder, "--targets", "faces", "--jobs", jobs) for jobs in (1, 2)}
        photo_runs = in_turns(photos, max(1, self.args.rounds - 1))
        clip = self.clip("1280x720", self.args.seconds)
        analyze = [self.args.withhold, "analyze", clip, "-o", self.work / "plans", *QUIETLY, "--jobs"]
        clips = {jobs: [*analyze, jobs] for jobs in (1, 2)}
        clip_runs = in_turns(clips, self.args.rounds)
        gain = lambda runs: median(runs[1], "wall") / median(runs[2], "wall")
        self.tell("| what | figure |")
        self.tell("|---|---|")
        self.tell(f"| start-up to the first frame, at most: a photo of 64x64 analysed, all networks | {median(start, 'wall'):.2f} s |")
        self.tell(f"| one small photo, start to end | {one['wall']:.2f} s |")
        self.tell(f"| {SMALL_PHOTOS} small photos, `--jobs` 1 / 2 | {gain(photo_runs):.2f} |")
        self.tell(f"| analysis of the 720p clip, `--jobs` 1 / 2 | {gain(clip_runs):.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("withhold", type=Path)
    parser.add_argument("--deface", type=Path)
    parser.add_argument("--clip", type=Path, default=DEMO / "interview.mp4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--parts", default="clips,photos,batch")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(args, Path(work))
        bench.tell("# Whole commands")
        bench.tell()
        bench.tell(f"`make bench` on {os.cpu_count()} cores; medians of {args.rounds} rounds in turns, clips of {args.seconds:g} s (4K "
                   f"{args.seconds * 0.4:g} s), crf 18, verification included. deface 1.5.0 at its defaults, with solid boxes.")
        for part in args.parts.split(","):
            bench.tell()
            {"clips": bench.clips, "photos": bench.photos, "batch": bench.batch}[part]()
    if args.report:
        args.report.write_text("\n".join(bench.lines) + "\n")


if __name__ == "__main__":
    main()
