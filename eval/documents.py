"""Whether an identity card still tells who it is, after redaction.

Ten specimen cards are drawn (`fixtures/maker/specimens.py`) and redacted; each field of them (lines of text, portrait,
ghost portrait, signature, machine-readable lines, code) has to be covered. Then Tesseract reads what came out, and also
what comes out when the picture was turned before and is turned back after. Beside it stands what is left when every
word that Tesseract finds is covered by its box, which is what redaction tools built on OCR do.

    target/eval-venv/bin/python eval/documents.py --withhold target/release/withhold [--data DATA]

With --data, pictures of DATA/text.jsonl that have `texts` are read too. Needs `tesseract-ocr` with the languages eng,
rus, kor and fra, fonts-dejavu-core and fonts-noto-cjk.
"""

import argparse
import csv
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import cv2
import numpy as np

import conditions
import rows
import score
import tools

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures"))

from maker import sources, specimens  # noqa: E402

CONFIDENCE = 60  # of Tesseract, from which a word counts as read
LETTERS = 3
LANGUAGES = {"eng", "rus", "kor", "fra"}


@dataclass
class Page:
    """A picture with its fields, and the language to read it in."""

    name: str
    language: str
    picture: np.ndarray
    fields: list  # (kind, quad)


def words(picture, language, least=CONFIDENCE, letters=LETTERS):
    """Words that Tesseract reads: (text, x, y, w, h)."""
    _, png = cv2.imencode(".png", picture)
    done = subprocess.run(["tesseract", "-", "-", "-l", language, "--psm", "11", "tsv"], input=png.tobytes(),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    table = csv.DictReader(done.stdout.decode(errors="replace").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(row["text"], *(int(row[k]) for k in ("left", "top", "width", "height"))) for row in table
            if row["text"] and float(row["conf"]) >= least and sum(c.isalnum() for c in row["text"]) >= letters]


def masked_by_words(picture, language):
    """The picture with a box over every word that Tesseract finds, however unsure."""
    out = picture.copy()
    for _, x, y, w, h in words(picture, language, least=0, letters=1):
        out[y:y + h, x:x + w] = 128
    return out


def turned_page(page, degrees):
    if degrees == 0:
        return page
    height, width = page.picture.shape[:2]
    truth = rows.Picture(page.name, "text", width, height, [quad for _, quad in page.fields])
    picture, changed = conditions.turned(degrees)(page.picture, truth)
    return Page(page.name, page.language, picture, [(k, q) for (k, _), q in zip(page.fields, changed.shapes)])


def turned_back(picture, degrees):
    """For reading: the picture upright again, its grown canvas and all."""
    height, width = picture.shape[:2]
    return conditions.turned(-degrees)(picture, rows.Picture("", "text", width, height, []))[0] if degrees else picture


def specimen_pages(cache):
    portrait = sources.fetch(sources.COLLINS, cache)
    drawn = [specimens.specimen(number, portrait) for number in range(len(specimens.VIEWS))]
    return [Page(s.name, s.language, s.picture, s.fields) for s in drawn]


def listed_pages(data):
    pages = []
    for line in (data / "text.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "texts" not in row:
            continue
        fields = [("word", rows.quad_of_box(box)) for box in row.get("boxes", [])]
        name = pathlib.Path(row["image"]).stem
        pages.append(Page(name, "eng+fra", rows.read_upright(data / row["image"]), fields))
    return pages


def redacted(pages, withhold, flags, folder):
    """What withhold wrote for each page, by name; a page that was withheld is missing."""
    source, output = tools.fresh(folder / "in"), folder / "out"
    for page in pages:
        cv2.imwrite(str(source / f"{page.name}.png"), page.picture)
    tools.Withhold(withhold, flags).redact(source, output, "faces,text,codes")
    return {p.stem: rows.read_upright(p) for p in output.glob("*.png")}


@dataclass
class Row:
    """Sums over pages."""

    covered: int = 0
    total: int = 0
    read: int = 0
    missing: int = 0

    def add(self, page, picture, degrees, say, tool):
        if picture is None:
            self.missing += 1
            say(f"  {tool} {page.name} at {degrees}: withheld")
            return
        masked = score.masked_pixels(page.picture, picture, score.TOLERANCE_LOSSLESS)
        for kind, quad in page.fields:
            share = score.coverage(masked, quad)
            if share is None:
                continue
            self.total += 1
            self.covered += share >= score.COVER
            if share < score.COVER and tool == "withhold":
                say(f"  {page.name} at {degrees}: {kind} covered to {share:.2f}")
        still = words(turned_back(picture, degrees), page.language)
        self.read += len(still)
        if still and tool == "withhold":
            say(f"  {page.name} at {degrees}: still read: {' '.join(word[0] for word in still)}")

    def cells(self):
        share = self.covered / self.total if self.total else 0
        return f"{self.covered} of {self.total} ({share:.3f}) | {self.read} | {self.missing}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--withhold", type=pathlib.Path, default=pathlib.Path("target/release/withhold"))
    parser.add_argument("--data", type=pathlib.Path, help="a folder with text.jsonl")
    parser.add_argument("--turns", default="0,30,90,180", help="degrees, comma-separated")
    parser.add_argument("--flags", default="", help="further flags for withhold redact, in one argument")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the pictures, before and after")
    options = parser.parse_args()
    if not shutil.which("tesseract"):
        raise SystemExit("tesseract is missing: apt-get install tesseract-ocr tesseract-ocr-{rus,kor,fra}")
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True).stdout.split()
    if LANGUAGES - set(listed):
        raise SystemExit(f"languages of Tesseract are missing: {', '.join(sorted(LANGUAGES - set(listed)))}")
    sets = {"ten specimen cards": specimen_pages(HERE.parent / "target" / "fixture-sources")}
    if options.data:
        sets["listed documents"] = listed_pages(options.data)
    table = ["| documents | turned | tool | fields covered | words still read | withheld |", "|---|---|---|---|---|---|"]
    for title, pages in sets.items():
        for degrees in map(int, options.turns.split(",")):
            turned = [turned_page(page, degrees) for page in pages]
            with tempfile.TemporaryDirectory() as scratch:
                folder = tools.fresh(options.keep / f"{title.split()[0]}-{degrees}") if options.keep else pathlib.Path(scratch)
                outputs = redacted(turned, options.withhold.resolve(), options.flags.split(), folder)
            results = {"nothing masked": Row(), "Tesseract's word boxes": Row(), "withhold": Row()}
            for page in turned:
                by_words = masked_by_words(page.picture, page.language)
                given = {"nothing masked": page.picture, "Tesseract's word boxes": by_words, "withhold": outputs.get(page.name)}
                for tool, picture in given.items():
                    results[tool].add(page, picture, degrees, lambda line: print(line, flush=True), tool)
            for tool, row in results.items():
                table.append(f"| {title} | {degrees} | {tool} | {row.cells()} |")
                print(table[-1], flush=True)
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
