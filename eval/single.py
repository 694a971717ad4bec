"""A face that is hardly there: does `withhold check`, as it works by default, find it?

    target/eval-venv/bin/python eval/single.py WITHHOLD [--positions 20] [--seconds 60] [--size 320x180] [--keep FOLDER]

A clip: a drawn scene moves slowly, and in single frames, spread over it with at least a second between them, a head out of
fixtures/demo/group.jpg stands somewhere in the picture, its face a fifth to a third of the height wide. `check` judges
each frame by itself, so one clip with N such frames asks what N clips with one each would. A photo of 12 megapixels: such a
scene with a face of 24 pixels in each corner. Only faces are looked for. Needs ffmpeg. Exit 1 when one is not an error,
or one is told where none is.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from clean import REPOSITORY, leaves, run

FPS = 25
PHOTO, FACE_PX = (4000, 3000), 24


def head():
    """An upright head, and the box of its face in it."""
    rows = map(json.loads, (REPOSITORY / "fixtures" / "face.jsonl").read_text().splitlines())
    row = next(r for r in rows if r["image"] == "demo/group.jpg")
    x, y, w, h = row["boxes"][3]
    picture = cv2.imread(str(REPOSITORY / "fixtures" / row["image"]))
    x0, y0, x1, y1 = int(x - 0.35 * w), int(y - 0.45 * h), int(x + 1.35 * w), int(y + 1.25 * h)
    return picture[y0:y1, x0:x1], (x - x0, y - y0, w, h)


def paste(picture, face_px, at):
    """Puts the head into the picture, its face `face_px` wide, at a place given as shares of what room there is; gives the face's box."""
    pixels, box = head()
    scale = face_px / box[2]
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = small.shape[:2]
    x, y = (int(share * (side - own)) for share, side, own in zip(at, picture.shape[1::-1], (w, h)))
    picture[y:y + h, x:x + w] = small
    return x + box[0] * scale, y + box[1] * scale, box[2] * scale, box[3] * scale


def make_clip(path, args, rng):
    """Number of each frame with a face, and the face's box."""
    w, h = args.size
    count = args.seconds * FPS
    wide = np.clip(leaves(rng, (w * 3, h)), 0, 255).astype(np.uint8)
    step = count // args.positions
    frames = [i * step + int(rng.integers(0, step - FPS)) for i in range(args.positions)]
    command = f"ffmpeg -v error -y -f rawvideo -pix_fmt bgr24 -s {w}x{h} -r {FPS} -i - -c:v libx264 -preset veryfast -pix_fmt yuv420p"
    encoder = subprocess.Popen([*command.split(), str(path)], stdin=subprocess.PIPE)
    truth = {}
    for number in range(count):
        x = int(2 * w * number / count)
        frame = np.ascontiguousarray(wide[:, x:x + w])
        if number in frames:
            truth[number] = paste(frame, int(h * rng.uniform(0.2, 0.35)), rng.uniform(0, 1, 2))
        encoder.stdin.write(frame.tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise RuntimeError("ffmpeg failed")
    return truth


def make_photo(path, rng):
    w, h = PHOTO
    scene = cv2.resize(leaves(rng, (w // 4, h // 4)), PHOTO, interpolation=cv2.INTER_CUBIC)
    picture = np.clip(scene + 3 * rng.standard_normal(scene.shape), 0, 255).astype(np.uint8)
    boxes = [paste(picture, FACE_PX, at) for at in ((0, 0), (1, 0), (0, 1), (1, 1))]
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return [(0, box) for box in boxes]


def meets(bounds, box):
    """Whether the middle of a face lies in what was found."""
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return bounds["x"] <= x <= bounds["x"] + bounds["width"] and bounds["y"] <= y <= bounds["y"] + bounds["height"]


def ask(program, path, truth, name):
    """Prints what `check` says; whether it is right."""
    words = [program, "check", path, "--targets", "faces", "--format", "json", "-q"]
    report = json.loads(run(words, (0, 1)).stdout)
    faces = [f for f in report["findings"] if f["rule"] == "visible-face"]
    sure = [f for f in faces if f["severity"] == "error"]
    seen = lambda item, f: f["frame"] == item[0] and meets(f["bounds"], item[1])
    found = [item for item in truth if any(seen(item, f) for f in sure)]
    weak = [item for item in truth if item not in found and any(seen(item, f) for f in faces)]
    wrong = [f for f in sure if not any(seen(item, f) for item in truth)]
    print(f"{name}: {len(found)} of {len(truth)} found, {len(weak)} more as a warning, {len(wrong)} faces told elsewhere", flush=True)
    for item in truth:
        if item not in found:
            print("   only a warning:" if item in weak else "   missed:", *item)
    for finding in wrong:
        print("   elsewhere:", finding["message"], finding["frame"], finding["bounds"])
    return len(found) == len(truth) and not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda p: Path(p).resolve())
    parser.add_argument("--positions", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--size", type=lambda s: tuple(map(int, s.split("x"))), default=(320, 180))
    parser.add_argument("--keep", type=Path, help="folder in which the files stay")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        clip, photo = folder / "single.mp4", folder / "corners.jpg"
        truth = make_clip(clip, args, rng)
        w, h = args.size
        right = ask(args.program, clip, list(truth.items()), f"single frames in {args.seconds} s of {w}x{h}")
        corners = make_photo(photo, rng)
        right &= ask(args.program, photo, corners, f"faces of {FACE_PX} px in the corners of {PHOTO[0]}x{PHOTO[1]}")
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
