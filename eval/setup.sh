#!/usr/bin/env bash
# Makes target/eval-venv for the evaluation, and with --deface target/deface-venv for the tool it is compared with.
# Does nothing once they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"

# The stamp carries the requirements, so that a changed pin makes the environment anew.
make_venv() {
  local venv="$1" wanted="$2"
  shift 2
  [ "$(cat "$venv/.installed" 2>/dev/null)" = "$wanted" ] && return 0
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "eval: python3 -m venv failed: apt-get install python3-venv" >&2; return 1; }
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || return 1
  printf '%s\n' "$wanted" >"$venv/.installed"
}

case "${1:-}" in
  '') make_venv "$target/eval-venv" "$(cat eval/requirements.txt)" -r eval/requirements.txt ;;
  --deface) make_venv "$target/deface-venv" "$(cat eval/requirements-deface.txt)" -r eval/requirements-deface.txt ;;
  *) echo "usage: eval/setup.sh [--deface]" >&2; exit 2 ;;
esac
