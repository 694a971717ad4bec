"""The evaluation of photos: one condition after the other, each tool beside the others."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import cv2

import score
from rows import read_list, read_upright
from tools import fresh, output_of

LOSSY = {".jpg", ".jpeg", ".webp"}


@dataclass
class PhotoResult:
    kind: str
    condition: str
    tool: str
    parts: dict = field(default_factory=dict)  # "all", "open", "held out" -> score.Tally
    cpu_s_per_picture: float = 0.0
    given: dict = None  # what the data folder's own scorer says, if it has one


def write_inputs(pictures, data, folder, change):
    """Write the pictures into one flat folder, as the tools shall see them; return them with their truth and files.

    Unchanged upright pictures go in as they are; all others as PNG, so that only what a tool does is a difference.
    """
    written = []
    for picture in pictures:
        source, flat = data / picture.name, picture.name.replace("/", "__")
        if change is None and picture.orientation == 1:
            target = folder / flat
            shutil.copyfile(source, target)
            written.append((picture, target))
            continue
        image, changed = read_upright(source), picture
        if change is not None:
            image, changed = change(image, picture)
        target = (folder / flat).with_suffix(".png")
        if not cv2.imwrite(str(target), image, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
            raise OSError(f"{target} can't be written")
        written.append((changed, target))
    return written


def run_condition(kind, condition, change, pictures, data, tools, work):
    """One `PhotoResult` for each tool."""
    base = fresh(work / f"{kind}-{condition.replace(' ', '-').replace('/', '')}")
    (base / "in").mkdir()
    inputs = write_inputs(pictures, data, base / "in", change)
    given_scorer = data / "score_images.py"
    results = []
    for tool in tools:
        output = fresh(base / tool.name)
        cpu_s = tool.redact(base / "in", output, "faces" if kind == "face" else "text")
        result = PhotoResult(kind, condition, tool.name, cpu_s_per_picture=cpu_s / len(inputs))
        result.parts = {part: score.Tally() for part in ("all", "open", "held out")}
        for picture, file in inputs:
            written = output_of(output, file.relative_to(base / "in"))
            tolerance = score.TOLERANCE_LOSSY if file.suffix.lower() in LOSSY else score.TOLERANCE_LOSSLESS
            tally = score.score_picture(picture, read_upright(file), read_upright(written) if written else None, tolerance)
            for part in ("all", "held out" if picture.held_out else "open"):
                result.parts[part].merge(tally)
        if given_scorer.is_file():
            result.given = run_given_scorer(given_scorer, kind, inputs, base, output)
        (base / f"{tool.name}-missed.json").write_text(json.dumps(result.parts["all"].missed))
        results.append(result)
    shutil.rmtree(base / "in")
    return results


def run_given_scorer(scorer, kind, inputs, base, output):
    """Recall and over-masked share by the data folder's scorer; None where it can't express the truth (tilted faces)."""
    rows = []
    for picture, file in inputs:
        row = {"image": str(file.relative_to(base / "in")), "w": picture.width, "h": picture.height, "kind": kind}
        if kind == "text":
            row |= {"polys": [s.tolist() for s in picture.shapes], "ignore_polys": [s.tolist() for s in picture.ignored]}
        else:
            boxes = [_as_box(s) for s in picture.shapes]
            ignored = [_as_box(s) for s in picture.ignored]
            if None in boxes or None in ignored:
                return None
            row |= {"boxes": boxes, "ignore": ignored}
        rows.append(row)
    listed = base / "rows.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, str(scorer), str(listed), str(base / "in"), str(output), "--json"]
    if kind == "face":
        command += ["--min-side", str(score.MIN_SIDE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    covered, total, _ = answer["recall"]["all"]
    small_covered, small_total, _ = answer["recall"].get("<16", (0, 0, None)) if kind == "face" else (0, 0, None)
    total -= small_total
    return {"recall": (covered - small_covered) / total if total else None, "over_masked": answer["over_masked"]}


def _as_box(quad):
    """x, y, w, h of an axis-parallel quad, else None."""
    low, high = quad.min(axis=0), quad.max(axis=0)
    corners = {(round(x, 3), round(y, 3)) for x, y in quad}
    if corners != {(round(x, 3), round(y, 3)) for x in (low[0], high[0]) for y in (low[1], high[1])}:
        return None
    return [*map(float, low), *map(float, high - low)]


def evaluate(kind, conditions, data, tools, work, limit, say):
    """All conditions over `DATA/face.jsonl` or `DATA/text.jsonl`."""
    pictures = read_list(data / f"{kind}.jsonl", data)[:limit]
    results = []
    for condition, change in conditions.items():
        for result in run_condition(kind, condition, change, pictures, data, tools, work):
            tally = result.parts["all"]
            say(f"{kind} {condition:15} {result.tool:9} {tally.covered}/{tally.total} covered, "
                f"over-masked {tally.over_masked_share or 0:.3f}, no output {tally.without_output}, "
                f"{result.cpu_s_per_picture:.2f} CPU s a picture")
            results.append(result)
    return results
