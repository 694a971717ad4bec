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
import json
import pathlib
import sys
import tempfile
from dataclasses import dataclass

import cv2
import numpy as np

import conditions
import report
import rows
import score
import tools

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures"))

from maker import sources, specimens  # noqa: E402

CONFIDENCE = 60  # of Tesseract, from which a word counts as read
LETTERS = 3
TURNS = (0, 30, 90, 180)


@dataclass
class Page:
    """A picture with its fields, and the language to read it in."""

    name: str
    language: str
    picture: np.ndarray
    fields: list  # (kind, quad)


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
        still = tools.tesseract_words(turned_back(picture, degrees), page.language, CONFIDENCE, LETTERS)
        self.read += len(still)
        if still and tool == "withhold":
            say(f"  {page.name} at {degrees}: still read: {' '.join(word[0] for word in still)}")

    def cells(self):
        share = self.covered / self.total if self.total else 0
        return f"{self.covered} of {self.total} ({share:.3f}) fields covered, {self.read} words read, {self.missing} withheld"


def evaluate(withhold, flags, data, turns, keep, say):
    """Rows of the table: documents, degrees, tool, `Row`. The listed documents are those of `data`, if given."""
    sets = {"ten specimen cards": specimen_pages(HERE.parent / "target" / "fixture-sources")}
    listed = listed_pages(data) if data else []
    if listed:
        sets["listed documents"] = listed
    results = []
    for title, pages in sets.items():
        for degrees in turns:
            turned = [turned_page(page, degrees) for page in pages]
            with tempfile.TemporaryDirectory() as scratch:
                folder = tools.fresh(keep / f"{title.split()[0]}-{degrees}") if keep else pathlib.Path(scratch)
                outputs = redacted(turned, withhold, flags, folder)
            rows_by_tool = {"nothing masked": Row(), "Tesseract's word boxes": Row(), "withhold": Row()}
            for page in turned:
                by_words = tools.masked_by_words(page.picture, page.language)
                given = {"nothing masked": page.picture, "Tesseract's word boxes": by_words,
                         "withhold": outputs.get(page.name)}
                for tool, picture in given.items():
                    rows_by_tool[tool].add(page, picture, degrees, say, tool)
            for tool, row in rows_by_tool.items():
                say(f"{title} turned {degrees}, {tool}: {row.cells()}")
                results.append((title, degrees, tool, row))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--withhold", type=pathlib.Path, default=pathlib.Path("target/release/withhold"))
    parser.add_argument("--data", type=pathlib.Path, help="a folder with text.jsonl")
    parser.add_argument("--turns", default=",".join(map(str, TURNS)), help="degrees, comma-separated")
    parser.add_argument("--flags", default="", help="further flags for withhold redact, in one argument")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the pictures, before and after")
    options = parser.parse_args()
    if lacking := tools.tesseract_lacks():
        raise SystemExit(lacking)
    turns = [int(turn) for turn in options.turns.split(",")]
    results = evaluate(options.withhold.resolve(), options.flags.split(), options.data, turns, options.keep,
                       lambda line: print(line, flush=True))
    print("\n" + report.document_table(results))


if __name__ == "__main__":
    main()
