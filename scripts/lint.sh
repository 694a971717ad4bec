#!/usr/bin/env bash
# Everything about the source that no test can see. Ends at the first complaint.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_deny_version=0.18.3

step() { printf '\n== %s\n' "$*"; }

step "cargo fmt"
cargo fmt --check

step "cargo clippy"
cargo clippy --locked --all-targets -- -D warnings

step "cargo deny"
cargo deny --version 2>/dev/null | grep -qx "cargo-deny $cargo_deny_version" ||
  cargo install --locked "cargo-deny@$cargo_deny_version"
cargo fetch --locked # with the crates of every platform at hand, the check itself needs no network
cargo deny --offline check licenses bans sources

step "weights"
(cd models && sha256sum --quiet -c SHA256SUMS)

step "shellcheck"
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck

step "Python"
git ls-files -z '*.py' | PYTHONPYCACHEPREFIX="${CARGO_TARGET_DIR:-target}/pycache" xargs -0 python3 -m py_compile
