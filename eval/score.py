"""Scores what a tool wrote against the original picture. It only looks at pixels: any tool's output can be scored.

A pixel counts as masked when a channel changed by more than a tolerance, or when it belongs to an even patch of the
output of which three tenths changed that much (a mask may have the colour that was there); pinholes are closed. A face is covered when at least 85 % of the ellipse inscribed in its quad is masked; a text
line when 85 % of its polygon is. Over-masked is the share of the picture, outside of the shapes grown to twice their
size (text: by half its height to each side) and of the ignored ones, that is masked.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

COVER = 0.85
TOLERANCE_LOSSLESS = 6
TOLERANCE_LOSSY = 32  # what JPEG and H.264 do to an edge at usual qualities stays below
EVEN_PATCH_SHARE = 0.3
MIN_SIDE = 16.0


def masked_pixels(original, redacted, tolerance):
    """(H, W) bool. Both are BGR uint8; raises ValueError when their sizes differ."""
    if original.shape != redacted.shape:
        raise ValueError(f"the output is {redacted.shape[1]}x{redacted.shape[0]}, "
                         f"the original {original.shape[1]}x{original.shape[0]}")
    changed = cv2.absdiff(original, redacted).max(axis=2) > tolerance
    # OpenCV takes what lies beyond the edge as neutral for each step, so closing never eats the border.
    masked = (changed | _flat_patches(original, redacted, changed)).astype(np.uint8)
    return cv2.morphologyEx(masked, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def _flat_patches(original, redacted, changed):
    """(H, W) bool: even patches of the output of which three tenths or more changed.

    A grey mask over a dim grey face differs little from it in places; the patch as a whole gives it away.
    """
    around = np.ones((3, 3), np.uint8)
    spread = cv2.subtract(cv2.dilate(redacted, around), cv2.erode(redacted, around)).max(axis=2)
    count, labels = cv2.connectedComponents((spread <= 6).astype(np.uint8), connectivity=4)
    share = np.bincount(labels.ravel(), changed.ravel(), count) / np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    share[0] = 0  # label 0: the uneven rest
    # Beside a black mask a black coat is one patch with it; but compression alone leaves the local mean where it was.
    moved = cv2.blur(redacted.astype(np.float32) - original, (5, 5))
    return (share >= EVEN_PATCH_SHARE)[labels] & (np.abs(moved).max(axis=2) > 2)


def _fill(shape_hw, polygon):
    """(H, W) bool: pixels whose centre (at .5) lies inside the polygon, by the even-odd rule.

    Not OpenCV's fill: that one also takes every pixel that the outline touches, a lot for a 16 px face.
    """
    height, width = shape_hw
    polygon = np.asarray(polygon, np.float64)
    filled = np.zeros(shape_hw, bool)
    low = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, (width, height))
    high = np.clip(np.ceil(polygon.max(axis=0)).astype(int), 0, (width, height))
    x = np.arange(low[0], high[0]) + 0.5
    y = np.arange(low[1], high[1]) + 0.5
    inside = np.zeros((len(y), len(x)), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0)):
        rows = (y0 <= y) != (y1 <= y)
        crossing = x0 + (y[rows] - y0) * ((x1 - x0) / (y1 - y0) if y1 != y0 else 0.0)
        inside[rows] ^= x[None, :] < crossing[:, None]
    filled[low[1]:high[1], low[0]:high[0]] = inside
    return filled


def ellipse_polygon(quad, scale=1.0):
    """The ellipse inscribed in a parallelogram, as 64 points."""
    quad = np.asarray(quad, np.float64)
    centre = quad.mean(axis=0)
    along, down = (quad[1] - quad[0]) / 2 * scale, (quad[3] - quad[0]) / 2 * scale
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    return centre + along * np.cos(angle) + down * np.sin(angle)


def shorter_side(quad):
    quad = np.asarray(quad, np.float64)
    return float(min(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[1])))


def coverage(masked, polygon):
    """Share of the polygon's visible pixels that is masked; None when nothing of it is visible."""
    inside = _fill(masked.shape, polygon)
    pixels = int(inside.sum())
    return float(masked[inside].sum()) / pixels if pixels else None


def _allowed(shape_hw, kind, shapes, ignored):
    """Where masking costs nothing: on the shapes and a margin around them."""
    allowed = np.zeros(shape_hw, bool)
    for shape in shapes:
        if kind == "face":
            centre = shape.mean(axis=0)
            allowed |= _fill(shape_hw, centre + (shape - centre) * 2)
        else:
            line = _fill(shape_hw, shape).astype(np.uint8)
            margin = max(1, round(shorter_side(shape) / 2))
            allowed |= cv2.dilate(line, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0
    for shape in ignored:
        allowed |= _fill(shape_hw, shape)
    return allowed


@dataclass
class Tally:
    """Sums over pictures; `merge` them and read the shares."""

    covered: int = 0
    total: int = 0
    clean_pictures: int = 0
    pictures: int = 0
    without_output: int = 0
    over_masked: list = field(default_factory=list)  # share by picture
    beside_all: list = field(default_factory=list)  # likewise, with unlisted text counted as text
    unlisted: list = field(default_factory=list)  # of each unlisted text, the share that is masked
    missed: list = field(default_factory=list)  # (picture, index of the shape, coverage)

    def merge(self, other):
        for name in ("covered", "total", "clean_pictures", "pictures", "without_output"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("over_masked", "beside_all", "unlisted", "missed"):
            getattr(self, name).extend(getattr(other, name))

    @property
    def recall(self):
        return self.covered / self.total if self.total else None

    @property
    def over_masked_share(self):
        return float(np.mean(self.over_masked)) if self.over_masked else None

    @property
    def beside_all_share(self):
        return float(np.mean(self.beside_all)) if self.beside_all else None


def score_picture(picture, original, redacted, tolerance):
    """The tally of one `rows.Picture`. `redacted` None: no output, so nothing of it counts as covered."""
    counted = [(i, s) for i, s in enumerate(picture.shapes) if picture.kind == "text" or shorter_side(s) >= MIN_SIDE]
    tally = Tally(total=len(counted), pictures=1)
    if redacted is None:
        tally.without_output = 1
        tally.missed = [(picture.name, i, None) for i, _ in counted]
        return tally
    masked = masked_pixels(original, redacted, tolerance)
    for i, shape in counted:
        share = coverage(masked, ellipse_polygon(shape) if picture.kind == "face" else shape)
        if share is None:
            tally.total -= 1
        elif share >= COVER:
            tally.covered += 1
        else:
            tally.missed.append((picture.name, i, round(share, 3)))
    tally.clean_pictures = int(tally.covered == tally.total)
    outside = ~_allowed(masked.shape, picture.kind, picture.shapes, picture.ignored)
    if outside.any():
        tally.over_masked.append(float(masked[outside].mean()))
    tally.unlisted = [share for share in (coverage(masked, s) for s in picture.unlisted) if share is not None]
    outside &= ~_allowed(masked.shape, picture.kind, picture.unlisted, [])
    if outside.any():
        tally.beside_all.append(float(masked[outside].mean()))
    return tally


@dataclass
class ClipScore:
    """One clip. A face-frame is one face in one frame of which at least a quarter is in view."""

    name: str
    face_frames: int = 0
    leaked: int = 0
    longest_run: int = 0
    leaked_frames: list = field(default_factory=list)
    over_masked: list = field(default_factory=list)
    fault: str = ""  # why the output can't be compared: then every face-frame is leaked


def score_clip(name, truth, originals, redacted_frames):
    """`truth`: quads by frame; the other two: equally long iterators of BGR frames."""
    score, run = ClipScore(name), 0
    redacted_frames = iter(redacted_frames)
    seen = 0
    for quads, original in zip(truth, originals):
        seen += 1
        visible = [q for q in quads if shorter_side(q) >= MIN_SIDE and _share_in_view(q, original.shape[:2]) >= 0.25]
        score.face_frames += len(visible)
        redacted = next(redacted_frames, None)
        if redacted is None or redacted.shape != original.shape:
            score.fault = score.fault or ("ends early" if redacted is None else "another size")
            leaks = len(visible)
        else:
            masked = masked_pixels(original, redacted, TOLERANCE_LOSSY)
            leaks = sum(1 for q in visible if (coverage(masked, ellipse_polygon(q)) or 0) < COVER)
            outside = ~_allowed(masked.shape, "face", quads, [])
            if outside.any():
                score.over_masked.append(float(masked[outside].mean()))
        score.leaked += leaks
        run = run + 1 if leaks else 0
        score.longest_run = max(score.longest_run, run)
        if leaks:
            score.leaked_frames.append(seen - 1)
    if seen != len(truth):
        raise ValueError(f"{name}: the original has {seen} frames, its truth {len(truth)}")
    if next(redacted_frames, None) is not None:
        score.fault = score.fault or "has more frames than the original"
    return score


def _share_in_view(quad, shape_hw):
    polygon = ellipse_polygon(quad)
    area = cv2.contourArea(polygon.astype(np.float32))
    return float(_fill(shape_hw, polygon).sum()) / area if area > 0 else 0.0
