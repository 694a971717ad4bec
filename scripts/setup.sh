#!/usr/bin/env bash
# Brings what a build needs and Cargo cannot: FFmpeg's development files, clang for its bindings, and ONNX Runtime.
# Usage: scripts/setup.sh [--tests]    --tests also wants the programs that tests and linters use.
# Does nothing, and needs no network, once everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

onnxruntime_version=1.23.2
lib_dir="${CARGO_TARGET_DIR:-target}/lib/withhold"
lib="$lib_dir/libonnxruntime.so.$onnxruntime_version"

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One fixed wheel for each platform. The sum of the library lets a later run check it without the wheel.
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    wheel_platform=manylinux_2_27_x86_64
    wheel_sha256=da44b99206e77734c5819aa2142c69e64f3b46edc3bd314f6a45a932defc0b3e
    lib_sha256=718c3fb0785d5ea06061b92c32ce4ad35be1bd4c71ae6192efe06f1ab21f0f8a
    ;;
  Linux-aarch64)
    wheel_platform=manylinux_2_27_aarch64
    wheel_sha256=bbfd2fca76c855317568c1b36a885ddea2272c13cb0e395002c402f2360429a6
    lib_sha256=ab8c4363e06ac80b3d1279ea55ebea44e906c5b131ba783ff684a067540c0e94
    ;;
  *) fail "no pinned ONNX Runtime for $(uname -s) $(uname -m); Linux on x86_64 or aarch64 is needed" ;;
esac

have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || ldconfig -p 2>/dev/null | grep -q libclang
}

# Prints the Debian packages that are missing. Looks for what they give, so that a self-built FFmpeg counts too.
missing_packages() {
  local name
  command -v pkg-config >/dev/null || echo pkg-config
  for name in libavcodec libavformat libavutil libswscale libswresample; do
    pkg-config --exists "$name" 2>/dev/null || echo "$name-dev"
  done
  have_libclang || echo libclang-dev
  command -v clang >/dev/null || echo clang
  command -v gcc >/dev/null || echo gcc
  [ "${1:-}" = --tests ] || return 0
  command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || echo ffmpeg
  command -v exiftool >/dev/null || echo libimage-exiftool-perl
  command -v shellcheck >/dev/null || echo shellcheck
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "${1:-}")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    printf 'setup: some packages are missing. Install them, then run this again:\n\n' >&2
    printf '  sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n\n' "${missing[*]}" >&2
    exit 1
  fi
  printf 'setup: installing %s\n' "${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}"
  mapfile -t missing < <(missing_packages "${1:-}")
  [ ${#missing[@]} -eq 0 ] || fail "still missing after the installation: ${missing[*]}"
}

is_sha256() { [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --status -c -; }

fetch_onnxruntime() {
  is_sha256 "$lib" "$lib_sha256" && [ -f "$lib_dir/ThirdPartyNotices.txt" ] && return 0
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing: apt-get install python3-pip"
  mkdir -p "$lib_dir"
  scratch="$(mktemp -d "$lib_dir/.fetch.XXXXXX")"
  trap 'rm -rf "$scratch"' EXIT
  printf 'setup: fetching ONNX Runtime %s\n' "$onnxruntime_version"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$scratch" \
    --implementation cp --python-version 3.11 --abi cp311 --platform "$wheel_platform" \
    "onnxruntime==$onnxruntime_version" ||
    fail "could not fetch ONNX Runtime $onnxruntime_version; check the network and pip's settings, then run this again"
  local wheel
  wheel="$(echo "$scratch"/onnxruntime-*.whl)"
  is_sha256 "$wheel" "$wheel_sha256" || fail "$(basename "$wheel"): sha256 is not the pinned one; nothing was installed"
  python3 - "$wheel" "$scratch" "libonnxruntime.so.$onnxruntime_version" <<'PY'
import pathlib, sys, zipfile
wheel, scratch, library = sys.argv[1:]
names = {"onnxruntime/capi/" + library: library, "onnxruntime/LICENSE": "LICENSE",
         "onnxruntime/ThirdPartyNotices.txt": "ThirdPartyNotices.txt"}
with zipfile.ZipFile(wheel) as archive:
    for member, name in names.items():
        pathlib.Path(scratch, name).write_bytes(archive.read(member))
PY
  is_sha256 "$scratch/$(basename "$lib")" "$lib_sha256" || fail "$(basename "$lib"): sha256 is not the pinned one"
  mv -f "$scratch/LICENSE" "$scratch/ThirdPartyNotices.txt" "$lib_dir/"
  mv -f "$scratch/$(basename "$lib")" "$lib" # last: its presence says that all is there
}

case "${1:-}" in
  '' | --tests) ;;
  *) fail "unknown argument '$1'; usage: scripts/setup.sh [--tests]" ;;
esac
command -v cargo >/dev/null || fail "cargo is missing: install Rust first"
command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3 python3-pip"
install_packages "${1:-}"
fetch_onnxruntime
