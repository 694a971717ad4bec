"""Reads the lists of annotated pictures and turns them upright.

A `Picture` holds its truth in pixels of the upright picture, x right, y down: faces as quads whose inscribed ellipse is
the face, text as polygons.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np


@dataclass
class Picture:
    name: str  # relative to the data folder
    kind: str  # "face" or "text"
    width: int
    height: int
    shapes: list  # (N, 2) float64 arrays, corner 0 to 1 along the width for faces
    ignored: list = field(default_factory=list)
    orientation: int = 1
    unlisted: list = field(default_factory=list)  # text that is there and in no list: masks on it are right

    @property
    def held_out(self):
        """A third of the names, chosen by hash: nothing is tuned on them."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 3 == 0


def quad_of_box(box):
    x, y, w, h = box
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)


def exif_orientation(path):
    """The orientation 1 to 8 of a JPEG's EXIF block, 1 where there is none."""
    data = Path(path).read_bytes()[:65536]
    start = data.find(b"Exif\0\0")
    if not data.startswith(b"\xff\xd8") or start < 0:
        return 1
    tiff = data[start + 6:]
    order = "little" if tiff[:2] == b"II" else "big"
    directory = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[directory:directory + 2], order)
    for i in range(count):
        entry = tiff[directory + 2 + 12 * i:directory + 14 + 12 * i]
        if int.from_bytes(entry[:2], order) == 0x0112:
            value = int.from_bytes(entry[8:10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def upright_from_stored(orientation, width, height):
    """The affine (2x3) from stored pixels to upright ones, in continuous coordinates, and the upright size."""
    w, h = width, height
    matrix = {
        1: [[1, 0, 0], [0, 1, 0]], 2: [[-1, 0, w], [0, 1, 0]], 3: [[-1, 0, w], [0, -1, h]], 4: [[1, 0, 0], [0, -1, h]],
        5: [[0, 1, 0], [1, 0, 0]], 6: [[0, -1, h], [1, 0, 0]], 7: [[0, -1, h], [-1, 0, w]], 8: [[0, 1, 0], [-1, 0, w]],
    }[orientation]
    return np.array(matrix, np.float64), ((h, w) if orientation >= 5 else (w, h))


def apply(matrix, points):
    """Points (N, 2) through an affine (2x3)."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def read_unlisted():
    """Boxes by picture, stored pixels, of text that the makers of lists left out: `text-unlisted.jsonl`."""
    lines = (Path(__file__).resolve().parent / "text-unlisted.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["image"]: row["boxes"] for row in map(json.loads, lines)}


def read_list(path, root):
    """The pictures of one list; raises when a row has no shapes at all or its picture is missing."""
    pictures, unlisted = [], read_unlisted()
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        file = Path(root) / row["image"]
        if not file.is_file():
            raise FileNotFoundError(f"{path} names {row['image']}, which is not in {root}")
        orientation = exif_orientation(file)
        matrix, (width, height) = upright_from_stored(orientation, row["w"], row["h"])
        shapes = [quad_of_box(box) for box in row.get("boxes", [])] + [np.array(p, np.float64) for p in row.get("polys", [])]
        ignored = [quad_of_box(box) for box in row.get("ignore", [])]
        ignored += [np.array(p, np.float64) for p in row.get("ignore_polys", [])]
        if not shapes and not ignored:
            raise ValueError(f"{path}: {row['image']} has neither boxes nor polys")
        pictures.append(Picture(
            row["image"], row["kind"], width, height, [apply(matrix, s) for s in shapes],
            [apply(matrix, s) for s in ignored], orientation,
            [apply(matrix, quad_of_box(box)) for box in unlisted.get(row["image"], [])]))
    return pictures


def read_upright(path):
    """The picture as shown, BGR uint8; raises ValueError when it can't be decoded."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)  # honours EXIF orientation
    if picture is None:
        raise ValueError(f"{path} can't be decoded")
    return picture
