#!/bin/sh
# Runs every test program of a build tree; prints one line each, and at the end the log of what failed.
# Two lanes side by side: programs that start whole systems in real time (contract_, e2e_, real_), one at a time, longest first,
# and beside them all others, which do not depend on time; without the first lane these take every core.
# ONLY="unit_ fault_" runs those whose names begin so; SKIP= leaves some out by name; RUNNER=command runs
# them under a tool such as valgrind.
set -u
build=$1
limit=900 # seconds a program may take

# One program: its log, its line, and a mark for the count.
if [ "$build" = --one ]; then
    build=$2 name=$3
    # shellcheck disable=SC2086 # a runner is a command with its arguments
    if TIDEMARK_BIN="$build/tidemark" timeout $limit ${RUNNER:-} "$build/tests/$name" >"$build/log/$name.log" 2>&1; then
        printf 'ok    %s (%s tests)\n' "$name" "$(grep -c '^\[       OK' "$build/log/$name.log")"
        echo ok >"$build/log/$name.result"
    else
        printf 'FAIL  %s\n' "$name"
        echo fail >"$build/log/$name.result"
    fi
    exit 0
fi

mkdir -p "$build/log"
rm -f "$build"/log/*.result
# libraries we do not build are not instrumented: what TSan says about their insides is not ours to judge
export TSAN_OPTIONS="suppressions=$(pwd)/tests/tsan.supp halt_on_error=1 ${TSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$(pwd)/tests/lsan.supp print_suppressions=0 ${LSAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"

# wanted PATTERN...: names of the programs that ONLY and SKIP leave
wanted() {
    for t in $(ls -d "$@" 2>/dev/null); do
        case $t in *.o|*.d|*.gc*) continue;; esac
        [ -x "$t" ] || continue
        name=${t##*/}
        keep=${ONLY:+no}
        for prefix in ${ONLY:-}; do
            case $name in "$prefix"*) keep=;; esac
        done
        case " ${SKIP:-} " in *" $name "*) keep=no;; esac
        [ -n "$keep" ] || echo "$name"
    done
}
lane() { xargs -r -P "$1" -I '{}' sh "$0" --one "$build" '{}'; }

programs=$build/tests
real=${TIDEMARK_BROKERS:+yes} # programs that want a real broker: tests/real.sh
real_time=$( (wanted "$programs"/e2e_crash; wanted "$programs"/e2e_* "$programs"/contract_* ${real:+"$programs"/real_*}) | awk '!seen[$0]++')
others=$(wanted "$programs"/unit_* "$programs"/fuzz_* "$programs"/fault_*)
cores=1
[ -n "$real_time" ] || cores=$(nproc 2>/dev/null || echo 2)
printf '%s' "$real_time" | lane 1 &
printf '%s' "$others" | lane "$cores"
wait

expected=$(printf '%s\n' $real_time $others | grep -c .)
passed=$(cat "$build"/log/*.result 2>/dev/null | grep -c '^ok')
for f in $(grep -l '^fail' "$build"/log/*.result 2>/dev/null); do
    name=$(basename "$f" .result)
    printf '\n==== %s\n' "$name"
    tail -n 60 "$build/log/$name.log"
done
echo "$passed passed, $((expected - passed)) failed"
[ "$passed" -eq "$expected" ] && [ "$passed" -gt 0 ]
