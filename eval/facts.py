"""Counts how many known facts about files `withhold check` finds, by class.

    eval/facts.py WITHHOLD ROOT INDEX.jsonl...

A row of an index tells of one file what other tools see in it: `file` (path from ROOT), and any of `gps`, `make`, `model`,
`serialnumber`, `artist`, `thumbnail`, `xmp`, `orientation`, `rotation`, `display_rotation`, `motionphoto`, `microvideo`,
`streams` (["video:...", "audio:...", "subtitle:...", "data:..."]). Pictures are not searched: this is about bytes.
Exit 1 when fewer than 98 % of a class were found.
"""

import collections
import json
import subprocess
import sys
from pathlib import Path

LEAST = 0.98


def facts_of(row):
    """Classes of facts that a row tells."""
    kinds = collections.Counter(stream.split(":")[0] for stream in row.get("streams", []))
    found = {
        "location": row.get("gps"),
        "device": row.get("make") or row.get("model") or row.get("serialnumber"),
        "person": row.get("artist"),
        "thumbnail": row.get("thumbnail"),
        "xmp": row.get("xmp"),
        "orientation": row.get("orientation", 1) not in (0, 1),
        "rotation": row.get("rotation") or row.get("display_rotation"),
        "motion photo": row.get("motionphoto") or row.get("microvideo"),
        "audio": kinds["audio"],
        "subtitles": kinds["subtitle"],
        "data track": kinds["data"],
        "second video": kinds["video"] > 1,
    }
    return {name for name, is_there in found.items() if is_there}


def is_told(fact, findings):
    rules = {f["rule"] for f in findings}
    wanted = {
        "location": {"metadata-location"},
        "device": {"metadata-device"},
        "person": {"metadata-person"},
        "thumbnail": {"metadata-preview"},
        "orientation": {"orientation"},
        "rotation": {"orientation"},
        "motion photo": {"motion-photo"},
        "audio": {"audio-present"},
        "subtitles": {"subtitles", "closed-captions"},
        "data track": {"extra-track", "timecode", "chapters"},
        "second video": {"extra-track", "metadata-preview"},
    }
    if fact == "xmp":
        return any("XMP" in f["message"] for f in findings)
    return bool(rules & wanted[fact])


def reports(program, root, files):
    """The report of each file by its path."""
    command = [program, "check", *files, "--targets", "none", "--format", "json", "--show-paths", "-q"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"withhold check ended with {done.returncode}")
    return {r["input"]: r for r in map(json.loads, done.stdout.decode().splitlines())}


def main():
    program, root, *indices = sys.argv[1:]
    rows = [json.loads(line) for index in indices for line in Path(index).read_text().splitlines()]
    told = reports(str(Path(program).resolve()), root, [row["file"] for row in rows])
    found, total, missed, passed = collections.Counter(), collections.Counter(), [], []
    for row in rows:
        report = told[row["file"]]
        for fact in facts_of(row):
            total[fact] += 1
            if is_told(fact, report["findings"]):
                found[fact] += 1
            else:
                missed.append((fact, row["file"], (report.get("error") or {}).get("message", "")))
        if report["status"] == "done" and not any(f["severity"] == "error" for f in report["findings"]):
            passed.append(row["file"])
    for fact in sorted(total):
        print(f"{fact:14} {found[fact]:4} of {total[fact]:4}  {found[fact] / total[fact]:.3f}")
    print(f"{'all':14} {found.total():4} of {total.total():4}  {found.total() / total.total():.3f}")
    print(f"files that pass without a finding: {len(passed)} of {len(rows)}", *passed)
    for miss in missed:
        print("missed:", *miss)
    return int(any(found[fact] < LEAST * total[fact] for fact in total))


if __name__ == "__main__":
    sys.exit(main())
