#!/usr/bin/env bash
# Lints the tests of stock crates, runs each with 20 seeds (or as many as the first argument says) in two processes, and
# compares the digests. CI calls it.
set -euo pipefail
cd "$(dirname "$0")"
cargo clippy --all-targets -- -D warnings
cargo run --quiet -- "${1:-20}"
