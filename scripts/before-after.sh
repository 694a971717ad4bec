#!/usr/bin/env bash
# Draws docs/before-after.jpg for the README: fixtures beside what `make demo` made of them.
set -euo pipefail
cd "$(dirname "$0")/.."
before=fixtures/demo
after=${CARGO_TARGET_DIR:-target}/demo
side='scale=640:360:force_original_aspect_ratio=decrease,pad=640:360:-1:-1:white,setsar=1'
mkdir -p docs
ffmpeg -v error -y -ss 1 -i "$before/interview.mp4" -ss 1 -i "$after/interview.mp4" \
    -i "$before/id-card.jpg" -i "$after/id-card.jpg" \
    -filter_complex "[0]${side}[a];[1]${side}[b];[2]${side}[c];[3]${side}[d];[a][b]hstack[t];[c][d]hstack[u];[t][u]vstack" \
    -frames:v 1 -q:v 4 docs/before-after.jpg
