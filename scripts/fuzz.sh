#!/usr/bin/env bash
# Runs the fuzz targets, each for SECONDS_EACH (default 60), with a corpus that starts from the fixtures. Needs clang's
# runtime no more than rustc brings; the first build takes long, because everything is instrumented.
#
#   scripts/fuzz.sh [target...]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_fuzz_version=0.13.2
seconds=${SECONDS_EACH:-60}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(plan strict content words geometry)

scripts/setup.sh
cargo fuzz --version 2>/dev/null | grep -qx "cargo-fuzz $cargo_fuzz_version" ||
  cargo install --locked "cargo-fuzz@$cargo_fuzz_version"

seeds() {
  case $1 in
    plan) cp fuzz/seeds/*.plan.json "$2" ;;
    strict | content) cp fixtures/clips/* fixtures/formats/* "$2" ;;
    words) split -l 1 fuzz/seeds/words.txt "$2/word-" ;;
    geometry) head -c 26 fixtures/formats/photo.webp >"$2/numbers" ;;
  esac
}

for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
  mkdir -p "$corpus"
  seeds "$target" "$corpus"
  # The stable compiler instruments as well as the nightly one, once it is allowed to; what is hunted are panics, so the
  # address sanitizer, which stable lacks a standard library for, is left out.
  RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none "$target" "$corpus" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=131072
done
