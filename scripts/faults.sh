#!/usr/bin/env bash
# Fault runs: SIGKILL at 50 random moments and 20 random limits on the size of files, then (as root) 20 disks of random
# sizes that fill up. Nothing that is not whole may carry a final name, nothing may be lost, and the next run has to
# finish the work. Ends at the first failure; prints figures.
#
#   scripts/faults.sh [path of withhold, for the disks]
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/withhold}")

cargo test --locked --test e2e faults::many_kills_and_full_disks -- --ignored --nocapture

if [ "$(id -u)" != 0 ]; then
  echo "not root: no disk can be made, so none was filled"
  exit 0
fi
dir=$(mktemp -d)
trap 'umount "$dir/disk" 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/in" "$dir/disk"
cp fixtures/clips/turning.mp4 fixtures/clips/yuv422.mp4 fixtures/demo/portrait.jpg fixtures/formats/photo.webp "$dir/in"
run() { "$program" redact "$dir/in" -o "$1" --targets none --region 16,16,48,32 --resume "${@:2}"; }
run "$dir/whole" -q
largest=$(du -sk "$dir/whole" "$dir/whole.withhold" | awk '{ sum += $1 } END { print sum }')

full=0
for _ in $(seq 20); do
  size=$((RANDOM % (largest * 2) + 40))
  mount -t tmpfs -o "size=${size}k" none "$dir/disk"
  code=0
  run "$dir/disk/out" -q 2>"$dir/log" || code=$?
  grep -q panicked "$dir/log" && { cat "$dir/log"; exit 1; }
  [ "$code" = 0 ] || [ "$code" = 3 ] || { echo "code $code on a disk of $size KiB"; cat "$dir/log"; exit 1; }
  [ "$code" = 0 ] || full=$((full + 1))
  if [ -d "$dir/disk/out" ]; then
    for file in "$dir/disk/out"/*; do
      [ -e "$file" ] || continue
      cmp "$file" "$dir/whole/$(basename "$file")"
    done
  fi
  # With room again, the next run finishes the work.
  mount -o "remount,size=1g" "$dir/disk"
  run "$dir/disk/out" -q
  diff -r "$dir/whole" "$dir/disk/out"
  [ -z "$(ls -A "$dir/disk/out.withhold/staging")" ] || { echo "staging folders are left"; exit 1; }
  umount "$dir/disk"
done
echo "20 disks, $full of them too small for something; whatever had a final name was whole, and the next run finished"
