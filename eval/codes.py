"""Draws sheets of bar codes and matrix codes, redacts them and tells which codes are covered.

Every symbology, seen at 0 to 60 degrees, with modules of 3 and 6 pixels, turned at random in the plane.

    target/eval-venv/bin/python eval/codes.py --withhold target/release/withhold
"""

import argparse
import pathlib
import tempfile

import cv2
import numpy as np
import zxingcpp

import tools

KINDS = {
    "QRCode": "P<UTOERIKSSON<<ANNA<MARIA<1234567",
    "DataMatrix": "ANNA MARIA 19740812 L898902C",
    "Aztec": "ANNA MARIA 1974-08-12",
    "PDF417": "ANNA MARIA 1974-08-12 UTO L898902C",
    "Code128": "ID12345678",
    "Code39": "UTO123456",
    "EAN13": "590123412345",
    "ITF": "12345678901231",
    "Codabar": "A12345678B",
}
MATRIX = ("QRCode", "DataMatrix", "Aztec")
STACKED = ("PDF417",)
TILTS = (0, 30, 45, 60)
MODULES = (6, 3)
SHEET = (1500, 1200)
COVERED = 0.95


def symbol(kind: str, module: int) -> np.ndarray:
    """The code without its quiet zone; linear codes have finer modules, as they have in print."""
    barcode = zxingcpp.create_barcode(KINDS[kind], getattr(zxingcpp.BarcodeFormat, kind))
    image = np.array(barcode.to_image(scale=1))
    rows, columns = np.where(image < 128)
    image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    if kind not in MATRIX + STACKED:
        image = np.repeat(image[:1], 40, axis=0)
    scale = module if kind in MATRIX else max(2, module // 2)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)


def seen(corners: np.ndarray, size: tuple[int, int], tilt_deg: float, turn_rad: float) -> np.ndarray:
    """Corners on a card of `size` (width, height) as a camera at three card widths sees them."""
    width, height = size
    distance, tilt = 3.0 * max(size), np.deg2rad(tilt_deg)
    x, y = corners[:, 0] - width / 2, corners[:, 1] - height / 2
    depth = distance + x * np.sin(tilt)
    u, v = x * np.cos(tilt) * distance / depth, y * distance / depth
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return np.stack([u * cos - v * sin, u * sin + v * cos], axis=1).astype(np.float32)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.float32([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def draw(module: int, tilt: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One sheet on mottled paper, and the quad of each code on it."""
    width, height = SHEET
    mottle = cv2.resize(rng.normal(0, 14, (height // 8, width // 8)).astype(np.float32), SHEET)
    sheet, quads = np.clip(205 + mottle, 0, 255), {}
    x = y = 40.0
    tallest = 0.0
    for kind in KINDS:
        code, quiet = symbol(kind, module), 4 * module
        card = cv2.copyMakeBorder(code, *[quiet] * 4, cv2.BORDER_CONSTANT, value=255)
        h, w = card.shape
        turn = rng.uniform(-0.5, 0.5)
        outline = seen(box(0, 0, w, h), (w, h), tilt, turn)
        inner = seen(box(quiet, quiet, w - quiet, h - quiet), (w, h), tilt, turn)
        extent = outline.max(0) - outline.min(0)
        if x + extent[0] > width - 20:
            x, y, tallest = 40.0, y + tallest + 20, 0.0
        assert y + extent[1] <= height, "the codes do not fit on a sheet"
        place = np.float32([x, y]) - outline.min(0)
        matrix = cv2.getPerspectiveTransform(box(0, 0, w, h), outline + place)
        alpha = cv2.warpPerspective(np.full_like(card, 255), matrix, SHEET) / 255.0
        printed = cv2.warpPerspective(card, matrix, SHEET, flags=cv2.INTER_AREA) * 0.85 + 20
        sheet, quads[kind] = sheet * (1 - alpha) + printed * alpha, inner + place
        x, tallest = x + extent[0] + 25, max(tallest, extent[1])
    return cv2.GaussianBlur(sheet.astype(np.uint8), (0, 0), 0.7), quads


def evaluate(withhold: pathlib.Path, seed: int = 1, flags: tuple[str, ...] = ()) -> list[tuple[str, int, int, float]]:
    """Every code: kind, pixels of a module, tilt in degrees, masked share; a sheet without output has no share masked."""
    rng = np.random.default_rng(seed)
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "in")
        folder.mkdir()
        truth = {}
        for module in MODULES:
            for tilt in TILTS:
                sheet, truth[module, tilt] = draw(module, tilt, rng)
                cv2.imwrite(str(folder / f"module{module}_tilt{tilt}.png"), sheet)
        out = pathlib.Path(scratch, "out")
        tools.Withhold(withhold, list(flags)).redact(folder, out, "codes")
        for (module, tilt), quads in truth.items():
            redacted = cv2.imread(str(out / f"module{module}_tilt{tilt}.png"))
            for kind, quad in quads.items():
                if redacted is None:
                    results.append((kind, module, tilt, 0.0))
                    continue
                masked = (np.abs(redacted.astype(int) - 128).max(2) <= 2).astype(np.uint8)
                area = cv2.fillPoly(np.zeros_like(masked), [np.int32(np.round(quad))], 1)
                results.append((kind, module, tilt, float(masked[area > 0].mean())))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--withhold", type=pathlib.Path, default=pathlib.Path("target/release/withhold"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results = evaluate(arguments.withhold.resolve(), arguments.seed)
    missed = [row for row in results if row[3] < COVERED]
    print(f"codes covered: {len(results) - len(missed)} of {len(results)}")
    for kind, module, tilt, share in missed:
        print(f"module {module}, tilt {tilt}: {kind} covered to {share:.2f}")


if __name__ == "__main__":
    main()
