#!/usr/bin/env python3
"""Draws src/detect/text_beside.png, two lines of print that text networks are shown beside a doubtful picture.

Needs Pillow and the font DejaVu Sans (package fonts-dejavu-core). Usage: text-beside.py OUTPUT
"""

import sys

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LINES = ("The quick brown fox jumps", "over the lazy dog 1234567")


def main() -> None:
    strip = Image.new("L", (480, 128), 255)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.truetype(FONT, 28)
    for i, line in enumerate(LINES):
        draw.text((10, 10 + 40 * i), line, fill=0, font=font)
    strip.save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
