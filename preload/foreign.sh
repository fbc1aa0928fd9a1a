#!/bin/bash
# Runs test suites that nobody here wrote through `cargo squall test --existing` and prints a table: verdicts beside those of a
# native run, wall times, whether digests are equal in two processes, and the flaky tests. Needs the network once, for crates.io.
#
#   preload/foreign.sh [DIRECTORY] [CRATE ..]     default: /tmp/squall-foreign, all crates below
#
# SEEDS (default 100) seeds per test, at most BUDGET (default 5s) for each test; LIMIT (default 600) seconds for each step of a crate.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-/tmp/squall-foreign}
[ $# -gt 0 ] && shift
SEEDS=${SEEDS:-100} BUDGET=${BUDGET:-5s} LIMIT=${LIMIT:-600}
mkdir -p "$work"

# crate, version, where runs may switch, what cargo test is told. Suites that poll futures by hand, and then assert that they are
# ready or that nothing woke them, want polls that do not end early.
suites=(
  "async-channel 2.5.0 polls --lib --tests"
  "bb8 0.9.1 polls --lib --tests"
  "deadpool 0.13.1 polls --lib --tests --all-features"
  "flume 0.12.0 polls --lib --test async --test iter --test stream --test select --test ready"
  "mini-redis 0.4.1 polls --lib --tests"
  "moka 0.12.16 polls --lib --features future,sync"
  "tokio-stream 0.1.17 awaits --tests --all-features"
  "tokio-util 0.7.20 awaits --lib --tests --all-features"
  "tower 0.5.3 awaits --lib --all-features"
)

squall=${SQUALL:-}
if [ -z "$squall" ]; then
  cargo build --quiet --release --manifest-path "$here/Cargo.toml" -p cargo-squall || exit 3
  target=${CARGO_TARGET_DIR:-$here/target}
  squall=$target/release/cargo-squall
fi
unset CARGO_TARGET_DIR
export SQUALL_FAILURES=off CARGO_PROFILE_DEV_DEBUG=line-tables-only

# The source, as cargo fetched it.
source_of() {
  local registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
  if ! ls -d "$registry"/*/"$1-$2" >/dev/null 2>&1; then
    mkdir -p "$work/fetch/src" && touch "$work/fetch/src/lib.rs"
    printf '[package]\nname="fetch"\nversion="0.0.0"\nedition="2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' "$1" "$2" \
      >"$work/fetch/Cargo.toml"
    rm -f "$work/fetch/Cargo.lock"
    cargo fetch --quiet --manifest-path "$work/fetch/Cargo.toml" || return 1
  fi
  ls -d "$registry"/*/"$1-$2" | head -n 1
}

seconds() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }

echo "| crate | points | tests | native | squall, 1 seed each | squall, $SEEDS seeds | same verdicts | flaky | failed under every seed | fail natively | in trouble | digests in two processes |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
for suite in "${suites[@]}"; do
  read -r crate version points arguments <<<"$suite"
  if [ $# -gt 0 ] && [[ " $* " != *" $crate "* ]]; then continue; fi
  place=$work/$crate-$version
  if [ ! -d "$place" ]; then
    from=$(source_of "$crate" "$version") || { echo "| $crate $version | cannot be fetched |"; continue; }
    cp -r "$from" "$place" && chmod -R u+w "$place"
    # Today's versions of what it depends on, tokio among them; and a workspace of its own.
    rm -f "$place/Cargo.lock"
    grep -q '^\[workspace\]' "$place/Cargo.toml" || printf '\n[workspace]\n' >>"$place/Cargo.toml"
  fi
  cd "$place" || exit 3
  export CARGO_TARGET_DIR=$work/target
  # Tests that need files which were not published do not build, and are left out.
  for _ in 1 2 3 4; do
    timeout "$LIMIT" cargo test --no-run $arguments >build.log 2>&1 && break
    broken=$(grep -oE 'could not compile `[^`]*` \(test "[^"]+"\)' build.log | sed -E 's/.*test "([^"]+)".*/\1/' | sort -u)
    [ -z "$broken" ] && break
    for test in $broken; do mkdir -p left-out; mv "tests/$test.rs" left-out/ 2>/dev/null; done
  done
  if ! timeout "$LIMIT" "$squall" squall test --existing --points $points --no-run $arguments >build-squall.log 2>&1; then
    echo "| $crate $version | does not build, see $place/build-squall.log |"; continue
  fi
  since=$(date +%s.%N); timeout "$LIMIT" cargo test --no-fail-fast $arguments >native.log 2>&1; native=$(seconds "$since")
  since=$(date +%s.%N)
  SQUALL_SEEDS=1 timeout "$LIMIT" "$squall" squall test --existing --points $points $arguments >one.log 2>&1; one=$(seconds "$since")
  since=$(date +%s.%N)
  SQUALL_SEEDS=$SEEDS SQUALL_BUDGET=$BUDGET SQUALL_DIGEST=1 timeout "$LIMIT" "$squall" squall test --existing --points $points $arguments >many.log 2>&1
  many=$(seconds "$since")
  for run in 1 2; do
    SQUALL_SEEDS=3 SQUALL_DIGEST=1 SQUALL_ISOLATION=process timeout "$LIMIT" "$squall" squall test --existing --points $points $arguments 2>/dev/null |
      grep -a ' digest ' >"digests-$run"
  done
  digests="differ"; cmp -s digests-1 digests-2 && digests="equal ($(wc -l <digests-1))"
  grep -aE '^test .* \.\.\. ' native.log | sed -E 's/^test (.*) \.\.\. (ok|FAILED|ignored).*/\1 \2/; s/ - should panic / /' | grep -E ' (ok|FAILED)$' | sort >verdicts-native
  verdict() { grep -aE "^ +$1 \[" many.log | sed -E 's/^[^]]*\] ([^ :]*(::[^ :]+)*).*/\1/' | sort; }
  { verdict PASS | sed 's/$/ ok/'; for word in FLAKY FAIL BROKEN TROUBLE UNUSABLE; do verdict $word | sed 's/$/ FAILED/'; done; } | sort >verdicts-squall
  tests=$(wc -l <verdicts-squall)
  same=$(comm -12 verdicts-native verdicts-squall | wc -l)
  names() { local found; found=$(verdict "$1" | paste -sd ' '); echo "${found:-none}"; }
  echo "| $crate $version | $points | $tests | $native s | $one s | $many s | $same | $(names FLAKY) | $(names FAIL) | $(names BROKEN) | $(names TROUBLE) | $digests |"
done
