#!/usr/bin/env bash
# Finds each of the bugs under bugs/sets on the version that has it, and checks that the fixed version is clean under the same
# workload. Prints a table: which seeds show the bug, how many schedules it takes on average, and how fast that goes.
#
#   bugs/find.sh [-s SEEDS] [-t TRIALS] [-c CLEAN] [-r SHRINKS] [-k stock|instrumented|both] [BUG...]
#
#   -s  how many seeds to run on the old version, from 0 on (10000)
#   -t  into how many disjoint ranges, each a trial, they are divided (20)
#   -c  how many seeds to run on the fixed version (10000)
#   -r  how many of the failing seeds to shrink; the sizes are medians over them (7)
#   -k  stock tokio, tokio instrumented by cargo squall, or both (both)
#
# Exit status: 0 each was found one way or the other and the fixed versions are clean, 1 otherwise, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$0")"

# Bug, set, the name of the dependency that has it, whether cargo squall knows the set's tokio (it wants a single one, from
# 1.38 on), and the set with the fixed version, where that is not `fixed`.
bugs='bb8_67 bb8_0_6 bb8_queued stock
bb8_122 old bb8_raced both
moka_195 old moka both
redis_489 old redis both
sqlx_83 sqlx_0_2_4 sqlx-core stock sqlx_0_2_5
hyper_3261 old hyper both
tokio_3652 tokio_1_4 tokio stock
tokio_4624 tokio_1_4 tokio stock
tokio_4867 tokio_1_20 tokio stock
tokio_6683 tokio_1_38 tokio both
tokio_8260 old tokio both
tokio_util_4497 old tokio_util_token both
tokio_util_6752 old tokio-util both
futurelock old - both'

seeds=10000 trials=20 clean=10000 shrinks=7 kinds='stock instrumented'
while getopts s:t:c:r:k: option; do
    case $option in
    s) seeds=$OPTARG ;;
    t) trials=$OPTARG ;;
    c) clean=$OPTARG ;;
    r) shrinks=$OPTARG ;;
    k) case $OPTARG in
        both) ;;
        stock | instrumented) kinds=$OPTARG ;;
        *) echo "find.sh: -k takes stock, instrumented or both, not $OPTARG" >&2; exit 2 ;;
        esac ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
for number in "$seeds" "$trials" "$clean" "$shrinks"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "find.sh: $number is not a number of at least 1" >&2; exit 2; }
done
((seeds >= trials)) || { echo "find.sh: $seeds seeds cannot be divided into $trials trials" >&2; exit 2; }
if (($#)); then
    wanted=''
    for bug in "$@"; do
        line=$(grep "^$bug " <<<"$bugs") || { echo "find.sh: there is no bug $bug" >&2; exit 2; }
        wanted+=$line$'\n'
    done
    bugs=${wanted%$'\n'}
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../target/bugs}" SQUALL_FAILURES=off

cargo build --quiet --manifest-path ../cargo-squall/Cargo.toml
squall=$CARGO_TARGET_DIR/debug/cargo-squall

# command SET KIND: the cargo command, as words.
command() {
    case $2 in
    stock) echo cargo test ;;
    instrumented) echo "$squall" squall test ;;
    esac
}

# marks SET KIND BUG SEEDS: the seeds that show the bug, in order; the time that it took goes to $work/took.
marks() {
    rm -f "$work/marks"
    touch "$work/marks"
    local since
    since=$(date +%s.%N)
    (cd "sets/$1" && BUGS_MARKS=$work/marks SQUALL_SEEDS=$4 $(command "$1" "$2") --quiet --locked "$3::") >"$work/output" 2>&1 || {
        echo "find.sh: $3 in sets/$1 could not be run:" >&2
        tail -40 "$work/output" >&2
        exit 1
    }
    since=$(awk -v since="$since" -v now="$(date +%s.%N)" 'BEGIN { print now - since }')
    echo "$since" >"$work/took"
    sort -nu "$work/marks"
}

# version SET DEPENDENCY
version() {
    sed -n "s/^$2 = .*version = \"=*\([^\"]*\)\".*/\1/p; s/^$2 = \"=*\([^\"]*\)\"/\1/p" "sets/$1/Cargo.toml"
}

# Built before anything is measured.
for set in $(awk '{ print $2 ":" $4; print $5 ? $5 ":" $4 : "fixed:both" }' <<<"$bugs" | sort -u); do
    known=${set#*:} set=${set%:*}
    for kind in $kinds; do
        [ "$known $kind" = 'stock instrumented' ] && continue
        (cd "sets/$set" && $(command "$set" "$kind") --quiet --locked --no-run)
    done
done

# median: of the numbers on standard input, the lower one where there are two in the middle.
median() {
    sort -n | awk '{ all[NR] = $1 } END { print NR ? all[int((NR + 1) / 2)] : "-" }'
}

# shrunk SET KIND BUG: what shrinking makes of the failing seeds on standard input.
shrunk() {
    while read -r seed; do
        # It fails, as it is meant to.
        (cd "sets/$1" && SQUALL_SEED=$seed $(command "$1" "$2") --quiet --locked "$3::" </dev/null 2>&1 || true) |
            sed -n 's/^ *shrunk from \([0-9]*\) decisions with \([0-9]*\) switch[es]* to \([0-9]*\) with \([0-9]*\).*/\1 \2 \3 \4/p'
    done >"$work/shrunk"
    local column medians=()
    for column in 1 2 3 4; do
        medians+=("$(cut -d ' ' -f $column "$work/shrunk" | median)")
    done
    echo "${medians[0]} with ${medians[1]} to ${medians[2]} with ${medians[3]}"
}

status=0
echo '| bug | version | tokio | found in trials | schedules, mean | first seed | seeds that show it | seeds/s | decisions with switches, shrunk | fixed version |'
echo '|---|---|---|---|---|---|---|---|---|---|'
while read -r bug set dependency known mended; do
    mended=${mended:-fixed}
    old=- fixed=repaired
    if [ "$dependency" != - ]; then
        old=$(version "$set" "$dependency")
        fixed=$(version "$mended" "$dependency")
    fi
    found=no
    for kind in $kinds; do
        [ "$known $kind" = 'stock instrumented' ] && continue
        marks "$set" "$kind" "$bug" "$seeds" >"$work/seeds"
        took=$(cat "$work/took")
        figures=$(awk -v seeds="$seeds" -v trials="$trials" -v took="$took" '
            BEGIN { size = int(seeds / trials) }
            { trial = int($1 / size); if (trial < trials && !(trial in first)) first[trial] = $1 % size + 1 }
            NR == 1 { begin = $1 }
            END {
                for (trial in first) { found++; sum += first[trial] }
                printf "%d of %d | %s | %s | %.2f %% | %.0f", found, trials, found ? sprintf("%.1f", sum / found) : "-", NR ? begin : "-",
                    100 * NR / seeds, seeds / took
            }' "$work/seeds")
        sizes=-
        if [ -s "$work/seeds" ]; then
            head -n "$shrinks" "$work/seeds" >"$work/some"
            sizes=$(shrunk "$set" "$kind" "$bug" <"$work/some")
            found=yes
        fi
        marks "$mended" "$kind" "$bug" "$clean" >"$work/seeds"
        verdict="$fixed clean over $clean"
        [ -s "$work/seeds" ] && { verdict="$fixed FAILS, seed $(head -n 1 "$work/seeds")"; status=1; }
        echo "| $bug | $old | $kind | $figures | $sizes | $verdict |"
    done
    [ $found = yes ] || status=1
done <<<"$bugs"
exit $status
