#!/bin/sh
# Runs every test program of a build tree, short ones first; prints one line each and the log of what failed.
# ONLY="unit_ fault_" runs those whose names begin so; SKIP= leaves some out by name; RUNNER=command runs
# them under a tool such as valgrind.
set -u
build=$1
passed=0 failed=0
mkdir -p "$build/log"
# libraries we do not build are not instrumented: what TSan says about their insides is not ours to judge
export TSAN_OPTIONS="suppressions=$(pwd)/tests/tsan.supp halt_on_error=1 ${TSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$(pwd)/tests/lsan.supp print_suppressions=0 ${LSAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"
for t in "$build"/tests/unit_* "$build"/tests/fuzz_* "$build"/tests/fault_* "$build"/tests/contract_* "$build"/tests/e2e_*; do
    case $t in *.o|*.d|*.gc*) continue;; esac
    [ -x "$t" ] || continue
    name=$(basename "$t")
    wanted=${ONLY:+no}
    for prefix in ${ONLY:-}; do
        case $name in "$prefix"*) wanted=;; esac
    done
    [ -z "$wanted" ] || continue
    case " ${SKIP:-} " in *" $name "*) continue;; esac
    if TIDEMARK_BIN="$build/tidemark" timeout 900 ${RUNNER:-} "$t" >"$build/log/$name.log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %s (%s tests)\n' "$name" "$(grep -c '^\[       OK' "$build/log/$name.log")"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$name"
        tail -n 60 "$build/log/$name.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
