"""What is done to the pictures before a tool sees them, and to their truth with it.

Each condition takes an upright BGR picture and its `Picture`, and gives both changed. Angles turn clockwise.
"""

import hashlib
from dataclasses import replace

import cv2
import numpy as np

from rows import apply

PADDING = (114, 114, 114)  # colour around a turned picture


def rng_of(picture):
    return np.random.default_rng(int.from_bytes(hashlib.sha256(picture.name.encode()).digest()[:8], "big"))


def turned(degrees):
    """Turn the whole picture; the canvas grows so that nothing is cut off."""

    def change(image, picture):
        height, width = image.shape[:2]
        radians = np.deg2rad(degrees)
        cos, sin = np.round([np.cos(radians), np.sin(radians)], 12)
        new_width = int(np.ceil(round(width * abs(cos) + height * abs(sin), 6)))
        new_height = int(np.ceil(round(width * abs(sin) + height * abs(cos), 6)))
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0]], np.float64)
        matrix[:, 2] = np.array([new_width, new_height]) / 2 - apply(matrix, [[width / 2, height / 2]])[0]
        if degrees % 90 == 0:
            image = np.ascontiguousarray(np.rot90(image, -degrees // 90))
        else:
            # warpAffine's points are pixel centres: half a pixel off the continuous coordinates of the truth.
            pixel = matrix.copy()
            pixel[:, 2] = apply(matrix, [[0.5, 0.5]])[0] - 0.5
            image = cv2.warpAffine(image, pixel, (new_width, new_height), flags=cv2.INTER_CUBIC, borderValue=PADDING)
        return image, replace(
            picture, width=new_width, height=new_height, shapes=[apply(matrix, s) for s in picture.shapes],
            ignored=[apply(matrix, s) for s in picture.ignored], unlisted=[apply(matrix, s) for s in picture.unlisted])

    return change


def noisy(sigma):
    def change(image, picture):
        return np.clip(image + rng_of(picture).normal(0, sigma, image.shape), 0, 255).astype(np.uint8), picture

    return change


def blurred(sigma):
    return lambda image, picture: (cv2.GaussianBlur(image, (0, 0), sigma), picture)


def darkened(factor):
    return lambda image, picture: ((image * factor + 0.5).astype(np.uint8), picture)


def jpeg(quality):
    def change(image, picture):
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_COLOR), picture

    return change


def band(quad, top, bottom):
    """The part of a quad between two heights, as shares of its own: again four corners, clockwise."""
    left, right = quad[3] - quad[0], quad[2] - quad[1]
    return np.array([quad[0] + left * top, quad[1] + right * top, quad[1] + right * bottom, quad[0] + left * bottom])


def strip(top, bottom, colour):
    """Cover each face between two heights, as shares of its box, with a plain colour."""

    def change(image, picture):
        image = image.copy()
        for quad in picture.shapes:
            cv2.fillPoly(image, [np.round(band(quad, top, bottom)).astype(np.int32)], colour)
        return image, picture

    return change


def bandaged(top, bottom):
    """As `strip`, but like cloth: a weave, shade towards both ends, a soft edge. Nothing in it is plain."""

    def change(image, picture):
        rng, image = rng_of(picture), image.astype(np.float32)
        for quad in picture.shapes:
            corners = band(quad, top, bottom)
            across = corners[1] - corners[0]
            mask = np.zeros(image.shape[:2], np.float32)
            cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1.0)
            mask = cv2.GaussianBlur(mask, (0, 0), 1.2)[..., None]
            along = (np.indices(image.shape[:2]).transpose(1, 2, 0)[..., ::-1] - quad[:2].mean(axis=0)) @ across
            shade = 60 * np.clip(2 * along / max(1.0, float(across @ across)), -1, 1) ** 2
            weave = cv2.GaussianBlur(rng.normal(0, 25, image.shape[:2]).astype(np.float32), (0, 0), 0.8)
            cloth = np.array([215, 222, 225], np.float32) + (weave - shade)[..., None]
            image = image * (1 - mask) + cloth * mask
        return np.clip(image, 0, 255).astype(np.uint8), picture

    return change


FACE = {
    "upright": None,
    "turned 90": turned(90), "turned 180": turned(180), "turned 270": turned(270),
    "turned 30": turned(30), "turned 45": turned(45), "turned 60": turned(60),
    "noise 25": noisy(25), "blur 3": blurred(3), "dark 1/4": darkened(0.25), "JPEG 15": jpeg(15),
    "strip eyes": strip(0.2, 0.6, (20, 20, 20)), "strip mouth": strip(0.6, 1.0, (205, 190, 170)),
    "strip forehead": strip(0.0, 0.4, (225, 228, 230)),
    "bandage forehead": bandaged(0.0, 0.4),
}
TEXT = {"upright": None, "turned 45": turned(45), "turned 90": turned(90), "turned 180": turned(180)}
