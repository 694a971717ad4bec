#!/usr/bin/env python3
"""Measures withhold, and deface beside it, on annotated pictures and clips. Run it through `make eval DATA=folder`.

DATA holds face.jsonl, text.jsonl and motion/ (see README.md); what is missing is left out. With score_images.py and
score_video.py in DATA those are asked too and their answers stand in columns of their own.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

PARTS = "face,text,motion,documents,codes"

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import codes  # noqa: E402
import conditions  # noqa: E402
import documents  # noqa: E402
import motion  # noqa: E402
import photos  # noqa: E402
import report  # noqa: E402
import tools  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description="Recall, leaks and over-masking of withhold and deface.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--withhold", type=Path, required=True, help="the program to measure")
    parser.add_argument("--parts", default=PARTS, help=f"which of {PARTS} (default: all)")
    parser.add_argument("--conditions", default="", help="only these, comma-separated: "
                        + ", ".join(dict.fromkeys([*conditions.FACE, *conditions.TEXT])))
    parser.add_argument("--limit", type=int, help="only the first N pictures and clips of each list")
    parser.add_argument("--no-deface", action="store_true", help="leave deface out")
    parser.add_argument("--flags", default="", help="further flags for withhold redact, in one argument")
    parser.add_argument("--report", type=Path, help="where the Markdown goes")
    return parser.parse_args()


def choose(table, names):
    """The named conditions of a table, all when none is named."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = set(wanted) - set(conditions.FACE) - set(conditions.TEXT)
    if unknown:
        raise SystemExit(f"unknown condition: {', '.join(sorted(unknown))}")
    return {name: change for name, change in table.items() if not wanted or name in wanted}


def report_path(options, repository, target_dir):
    """A whole run on a folder of one's own is the project's record; anything less must not overwrite it."""
    whole = not (options.conditions or options.limit or options.flags) and options.parts == PARTS
    if options.report:
        return options.report
    if whole and options.data.resolve() != (repository / "fixtures").resolve():
        return repository / "docs" / "eval.md"
    return target_dir / "eval" / "eval.md"


def main():
    options = parse_arguments()
    repository = HERE.parent
    target_dir = Path(os.environ.get("CARGO_TARGET_DIR", repository / "target")).resolve()
    parts = set(options.parts.split(","))
    if parts - set(PARTS.split(",")):
        raise SystemExit(f"--parts knows {PARTS}, not {options.parts}")
    data = options.data.resolve()
    if not data.is_dir():
        raise SystemExit(f"{options.data} is no folder")
    if not options.withhold.is_file():
        raise SystemExit(f"{options.withhold} is missing: run make build")
    withhold = tools.Withhold(options.withhold.resolve(), options.flags.split())
    compared, notes = [withhold], []
    lacking = tools.tesseract_lacks()
    if lacking and parts & {"text", "documents"}:
        notes.append(f"{lacking}; its rows and those of documents are left out")
        print(notes[-1], file=sys.stderr)
    # Lines alone, as the list has them, and not what documents hold beside them.
    readers = [tools.Withhold(withhold.program, ["--documents", "off", *withhold.extra_flags])]
    readers += [] if lacking else [tools.TesseractBoxes()]
    if not options.no_deface and parts & {"face", "motion"}:
        deface, reason = tools.deface_or_reason(repository, target_dir)
        compared += [deface] if deface else []
        if reason:
            notes.append(reason)
            print(reason, file=sys.stderr)
    work = tools.fresh(target_dir / "eval" / data.name)

    def say(line):
        print(line, flush=True)

    results, clips = [], []
    for kind, table, used in (("face", conditions.FACE, compared), ("text", conditions.TEXT, readers)):
        if kind in parts and (data / f"{kind}.jsonl").is_file():
            chosen = choose(table, options.conditions)
            results += photos.evaluate(kind, chosen, data, used, work, options.limit, say)
    if "motion" in parts and motion.list_clips(data):
        clips = motion.evaluate(data, compared, work, options.limit, say)
    pages = []
    if "documents" in parts and not lacking:
        listed = data if (data / "text.jsonl").is_file() else None
        pages = documents.evaluate(withhold.program, withhold.extra_flags, listed, documents.TURNS, None, say)
    sheets = (codes.evaluate(withhold.program, flags=tuple(withhold.extra_flags)), codes.COVERED) if "codes" in parts else ()
    if not results and not clips and not pages and not sheets:
        raise SystemExit(f"{options.data} has none of the lists that were asked for")
    text = report.markdown(data.name, options.flags, results, clips, notes, pages, sheets)
    path = report_path(options, repository, target_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    shutil.rmtree(work / "motion" / "in", ignore_errors=True)
    print(f"\n{text}\nwritten to {path}")


if __name__ == "__main__":
    main()
