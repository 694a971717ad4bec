"""The results as Markdown tables. Figures and conditions only."""

import score


def _share(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f} %"


def _table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _photo_table(results):
    given = any(result.given for result in results)
    unlisted = any(result.kind == "text" and result.parts["all"].unlisted for result in results)
    header = ["condition", "tool", "recall", "open part", "held out", "pictures all covered", "over-masked", "no output",
              "CPU s a picture"] + (["recall, over-masked (given scorer)"] if given else [])
    header += ["over-masked beside all text", "unlisted text covered"] if unlisted else []
    rows = []
    for result in results:
        whole = result.parts["all"]
        row = [result.condition, result.tool, f"{_share(whole.recall)} ({whole.covered}/{whole.total})",
               _share(result.parts["open"].recall), _share(result.parts["held out"].recall),
               f"{whole.clean_pictures}/{whole.pictures}", _percent(whole.over_masked_share), whole.without_output,
               f"{result.cpu_s_per_picture:.2f}"]
        if given:
            row.append(f"{_share(result.given['recall'])}, {_percent(result.given['over_masked'])}" if result.given else "-")
        if unlisted:
            covered = sum(share >= score.COVER for share in whole.unlisted)
            row += [_percent(whole.beside_all_share), f"{covered} of {len(whole.unlisted)}"]
        rows.append(row)
    return _table(header, rows)


def _motion_table(results):
    rows = []
    for result in results:
        leaked, total = sum(c.leaked for c in result.clips), sum(c.face_frames for c in result.clips)
        over = [share for clip in result.clips for share in clip.over_masked]
        rows.append([
            result.tool, f"{1000 * leaked / total:.1f} ({leaked}/{total})" if total else "-",
            f"{sum(1 for c in result.clips if not c.leaked and not c.fault)}/{len(result.clips)}",
            max((c.longest_run for c in result.clips), default=0), _percent(sum(over) / len(over) if over else None),
            f"{1000 * result.cpu_s / result.frames:.0f}",
            "; ".join(f"{c.name}: {c.fault}" for c in result.clips if c.fault) or "none"])
    return _table(["tool", "leaked face-frames per 1000", "clips without a leak", "longest exposed run, frames", "over-masked",
                   "CPU ms a frame", "faults"], rows)


def document_table(results):
    """Rows of `documents.evaluate`."""
    rows = [[title, degrees, tool, f"{row.covered} of {row.total} ({_share(row.covered / row.total if row.total else None)})",
             row.read, row.missing] for title, degrees, tool, row in results]
    return _table(["documents", "turned", "tool", "fields covered", "words still read", "withheld"], rows)


def code_table(results, least):
    """Rows of `codes.evaluate`: which of a symbology's codes are masked to `least` and more."""
    kinds = {}
    for kind, _, _, share in results:
        covered, total = kinds.get(kind, (0, 0))
        kinds[kind] = (covered + (share >= least), total + 1)
    kinds["all"] = tuple(map(sum, zip(*kinds.values())))
    return _table(["symbology", "codes covered"], [[kind, f"{covered} of {total}"] for kind, (covered, total) in kinds.items()])


def markdown(data_name, flags, results, clips, notes, documents=(), codes=()):
    parts = [f"# Evaluation on `{data_name}`", "", "Made by `make eval`; `eval/README.md` says what is counted.",
             f"Faces of {score.MIN_SIDE:.0f} px and more, {score.COVER:.0%} of the ellipse (text: of the polygon) covered."]
    if flags:
        parts.append(f"withhold ran with `{flags}`.")
    parts += [f"Note: {note}." for note in notes]
    for kind, title in (("face", "Faces in photos (`--targets faces`)"), ("text", "Text in photos (`--targets text --documents off`)")):
        of_kind = [result for result in results if result.kind == kind]
        if of_kind:
            parts += ["", f"## {title}", "", _photo_table(of_kind)]
    if clips:
        parts += ["", "## Faces in clips (`--targets faces`)", "", _motion_table(clips)]
        for result in clips:
            if result.given:
                figures = ", ".join(f"{key} {value}" for key, value in result.given.items() if not isinstance(value, (list, dict)))
                parts.append(f"\nGiven scorer, {result.tool}: {figures}.")
    if documents:
        parts += ["", "## Documents (`--targets faces,text,codes`)", "", document_table(documents)]
    if codes:
        parts += ["", "## Codes (`--targets codes`)", "", code_table(*codes)]
    return "\n".join(parts) + "\n"
