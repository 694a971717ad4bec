"""Asks `withhold check` about clean files: none may be stopped.

    target/eval-venv/bin/python eval/clean.py WITHHOLD [--fixtures] [--keep FOLDER] [--seed N]

Fifty files are drawn from a fixed seed: scenes without people, text or codes, after the two usual models of what natural
pictures are like: noise whose power falls with the square of the frequency (Field 1987) and dead leaves, discs that
occlude each other, of sizes with a power law (Lee, Mumford, Huang 2001); with grain and light that varies. They are
saved in every format that is read and, as slow pans, in every codec that is written. `withhold redact` writes each anew with one plain
mask (`--targets none --region`), as what comes out of other programs names them and is not clean. `check` then looks at
them as it does by default. With --fixtures, `redact` also works on fixtures/demo as it does by default, and what comes
out is checked. Needs ffmpeg. Exit 1 when a file would be stopped: has an error or no verdict. Warnings are counted too.
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
SIZES = ((640, 480), (800, 600), (480, 640), (322, 242), (1280, 720))
# Extension, further words for ffmpeg, how many of them.
PHOTOS = [
    ("jpg", "-q:v 3", 8), ("jpg", "-q:v 20", 4), ("png", "-pix_fmt rgb24", 8), ("png", "-pix_fmt gray16be", 2),
    ("webp", "-c:v libwebp", 4), ("webp", "-c:v libwebp -lossless 1", 2), ("tif", "", 4), ("bmp", "", 3), ("gif", "", 3),
]
# Codec that is written, pixel format of the source, how many of them.
CLIPS = [("h264", "yuv420p", 4), ("h264", "yuv420p10le", 2), ("h265", "yuv420p", 2), ("vp9", "yuv420p", 2), ("av1", "yuv420p", 2)]
CLIP_SIZE, CLIP_FRAMES = (320, 180), 12


def clouds(rng, size):
    """Colours between two tones, by noise with a falling spectrum."""
    w, h = size
    radius = np.hypot(np.fft.fftfreq(h)[:, None] * h, np.fft.rfftfreq(w)[None] * w)
    spectrum = np.fft.rfft2(rng.standard_normal((h, w))) / np.maximum(radius, 1) ** 1.2
    field = np.fft.irfft2(spectrum, (h, w))
    field = np.clip((field - field.mean()) / field.std() / 4 + 0.5, 0, 1)[..., None]
    low, high = rng.uniform(20, 120, 3), rng.uniform(120, 235, 3)
    return low + (high - low) * field


def leaves(rng, size):
    """Discs in front of each other, each of one colour with some texture."""
    w, h = size
    picture, grain = np.empty((h, w, 3)), clouds(rng, size) - 128
    picture[:] = rng.uniform(60, 200, 3)
    least, most = 4.0, min(w, h) / 3
    for _ in range(int(w * h / 160)):
        # Radii with a density that falls with the third power.
        radius = 1 / np.sqrt(1 / most**2 + rng.uniform() * (1 / least**2 - 1 / most**2))
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        x0, x1, y0, y1 = int(max(x - radius, 0)), int(min(x + radius + 1, w)), int(max(y - radius, 0)), int(min(y + radius + 1, h))
        ys, xs = np.mgrid[y0:y1, x0:x1]
        inside = (xs - x) ** 2 + (ys - y) ** 2 < radius**2
        part = picture[y0:y1, x0:x1]
        part[inside] = (rng.uniform(30, 220) + rng.uniform(-30, 30, 3)) + 0.3 * grain[y0:y1, x0:x1][inside]
    return picture


def land(rng, size):
    """Hills one behind the other below a sky."""
    w, h = size
    sky = clouds(rng, size) * 0.3 + 140
    for depth in range(4):
        ridge = np.cumsum(rng.standard_normal(w + 64))
        ridge = np.convolve(ridge, np.ones(64) / 64, "same")[:w]
        top = h * (0.3 + 0.15 * depth) + (ridge - ridge.mean()) * h / 120
        below = np.arange(h)[:, None] > top[None]
        sky[below] = (clouds(rng, size) * 0.5 + rng.uniform(0, 60, 3))[below]
    return sky


def scene(number, rng, size):
    kind = (clouds, leaves, land)[number % 3]
    picture = kind(rng, size) * rng.uniform(0.6, 1.0) + rng.standard_normal((size[1], size[0], 1)) * (0, 2, 6)[number % 3]
    return kind.__name__, np.clip(cv2.GaussianBlur(picture, (0, 0), 0.6), 0, 255).astype(np.uint8)


def run(words, accepted=(0,), data=b""):
    done = subprocess.run([str(w) for w in words], input=data, capture_output=True, check=False)
    if done.returncode not in accepted:
        raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}")
    return done


def encode(frames, words, target):
    """Writes pictures of one size, B, G, R, as a photo or clip."""
    h, w = frames[0].shape[:2]
    raw = f"-f rawvideo -pix_fmt bgr24 -s {w}x{h} -r 25 -i -"
    run(["ffmpeg", "-v", "error", "-y", *raw.split(), *words.split(), target], data=b"".join(f.tobytes() for f in frames))


def sources(bench, rng):
    """Draws all sources; folders of them with the flags of `redact` that go with each."""
    folders, number = collections.defaultdict(list), 0
    folder = bench / "sources" / "photos"
    folder.mkdir(parents=True)
    folders[folder] = []
    for extension, words, count in PHOTOS:
        for _ in range(count):
            number += 1
            name, picture = scene(number, rng, SIZES[number % len(SIZES)])
            encode([picture], f"-frames:v 1 {words}", folder / f"{number:02}-{name}.{extension}")
    w, h = CLIP_SIZE
    for codec, pixels, count in CLIPS:
        folder = bench / "sources" / f"{codec}-{pixels}"
        folder.mkdir()
        folders[folder] = ["--codec", codec]
        for _ in range(count):
            number += 1
            name, wide = scene(number, rng, (w + 2 * CLIP_FRAMES, h))
            frames = [np.ascontiguousarray(wide[:, 2 * i:2 * i + w]) for i in range(CLIP_FRAMES)]
            encode(frames, f"-c:v libx264 -preset veryfast -crf 16 -pix_fmt {pixels}", folder / f"{number:02}-{name}.mp4")
    return folders


def make_clean(args, bench):
    """Folder of files as `withhold redact` writes them."""
    out = bench / "out"
    for folder, flags in sources(bench, np.random.default_rng(args.seed)).items():
        mask = ["--targets", "none", "--region", "16,16,48,32"]
        run([args.program, "redact", folder, "-o", out / folder.name, "-q", *mask, *flags])
    if args.fixtures:
        run([args.program, "redact", REPOSITORY / "fixtures" / "demo", "-o", out / "fixtures", "-q"])
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda p: Path(p).resolve())
    parser.add_argument("--fixtures", action="store_true", help="redacted fixtures too; takes minutes")
    parser.add_argument("--keep", type=Path, help="empty folder in which the files stay")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = make_clean(args, args.keep or Path(scratch))
        is_private = lambda p: any(part.endswith(".withhold") for part in p.relative_to(out).parts)
        files = sorted(p for p in out.rglob("*") if p.is_file() and not is_private(p))
        done = run([args.program, "check", *files, "--format", "json", "--show-paths", "-q"], (0, 1, 3))
    reports = [json.loads(line) for line in done.stdout.decode().splitlines()]
    kinds = collections.Counter(Path(r["input"]).suffix[1:] for r in reports)
    severities = lambda r: {f["severity"] for f in r["findings"]}
    stopped = [r for r in reports if r["status"] != "done" or "error" in severities(r)]
    doubted = [r for r in reports if r not in stopped and "warning" in severities(r)]
    for report in stopped + doubted:
        print(report["input"], report["status"], (report.get("error") or {}).get("message", ""))
        for finding in report["findings"]:
            print("   ", finding["severity"], finding["rule"], finding["message"], finding.get("bounds", ""))
    print(f"{len(reports)} clean files ({', '.join(f'{n} {k}' for k, n in sorted(kinds.items()))}): {len(stopped)} stopped, {len(doubted)} with warnings")
    return int(bool(stopped) or len(reports) != len(files) or not files)


if __name__ == "__main__":
    sys.exit(main())
