#!/bin/sh
# The nightly gate: `nightly.sh BUILD`, with BUILD/tidemark built. Each step leaves its log in OUT and a line here; the exit
# code is the worst of all: 70 before 64 before 1 (fail) before 2 (inconclusive) before 0.
#   OUT=DIR         where it goes; reports/out/nightly-<time> without it
#   BASELINE=DIR    what was accepted last: a report and a program; reports/out/baseline without it. The first night makes it.
#   ACCEPT=1        tonight's becomes the baseline, whatever it says
#   SCENARIO=FILE   fixtures/scenarios/short.json without it
#   SEEDS=A..B      random histories; 1..2000 without it       ZOO=33,42   known bugs to plant; none: skipped
#   REPEATS=N       turns (base, new, control) for the wall-clock figures; 12 without it, 0: skipped
set -u
build=$1
program=$build/tidemark
out=${OUT:-reports/out/nightly-$(date -u +%Y%m%d-%H%M%S)}
baseline=${BASELINE:-reports/out/baseline}
scenario=${SCENARIO:-fixtures/scenarios/short.json}
repeats=${REPEATS:-12}
worst=0
[ -x "$program" ] || { echo "nightly: no program $program; make it first" >&2; exit 64; }
case $repeats in *[!0-9]* | '') echo "nightly: REPEATS is \"$repeats\", not a number" >&2; exit 64;; esac
mkdir -p "$out" "$baseline" || exit 64

rank() { case $1 in 0) echo 0;; 2) echo 1;; 1) echo 2;; 64) echo 3;; *) echo 4;; esac; }
words() { case $1 in 0) echo pass;; 1) echo FAIL;; 2) echo inconclusive;; 64) echo usage;; *) echo "BROKEN ($1)";; esac; }

# What a log says of a bad end: from the verdict on where there is one, without progress and what held.
told() {
    from=p
    ! grep -q '^verdict: ' "$1" || from='/^verdict: /,$p'
    sed -n "$from" "$1" | grep -vE '^[0-9:.]+ +info |^ok ' | head -12 | sed 's/^/    /'
}

# step NAME COMMAND…: its log is OUT/NAME.log; the first lines of a bad one are shown
step() {
    name=$1; shift
    began=$(date +%s)
    "$@" >"$out/$name.log" 2>&1
    code=$?
    printf '%-12s %-14s %4d s   %s\n' "$name" "$(words $code)" "$(($(date +%s) - began))" "$out/$name.log"
    [ "$code" -eq 0 ] || told "$out/$name.log"
    [ "$(rank $code)" -le "$(rank $worst)" ] || worst=$code
    return $code
}

# The same experiment on both programs in turns, so that what the machine does meanwhile strikes all alike.
turns() {
    i=1
    while [ "$i" -le "$repeats" ]; do
        n=$(printf '%02d' "$i")
        "$baseline/tidemark" run "$scenario" --out "$out/turns/base/$n" || [ $? -le 2 ] || return 70
        "$program" run "$scenario" --out "$out/turns/new/$n" || [ $? -le 2 ] || return 70
        "$baseline/tidemark" run "$scenario" --out "$out/turns/control/$n" || [ $? -le 2 ] || return 70
        find "$out/turns" -name '*.db*' -delete # only the reports are compared
        i=$((i + 1))
    done
}

accept() {
    rm -rf "$baseline/exact" && mkdir -p "$baseline/exact" &&
        cp "$out/exact/report.json" "$baseline/exact/" && cp "$program" "$baseline/tidemark" &&
        echo "baseline     $1: $baseline"
}

step run "$program" run "$scenario" --out "$out/run"
step seeds "$program" simulate --seeds "${SEEDS:-1..2000}" --jobs "$(nproc 2>/dev/null || echo 2)" --out "$out/seeds"
step cases "$program" test --junit "$out/cases.xml"
[ -z "${ZOO:-}" ] || SEEDS= ONLY=$ZOO SHRINK=0 step zoo sh tests/zoo/run.sh "$build"
step exact "$program" simulate "$scenario" --out "$out/exact"
if [ ! -f "$baseline/exact/report.json" ]; then
    [ -f "$out/exact/report.json" ] && accept "none yet, tonight's is it"
else
    step counters "$program" compare --exact "$baseline/exact" "$out/exact"
    if [ "$repeats" -gt 0 ] && step turns turns; then
        step wall-clock "$program" compare "$out/turns/base" "$out/turns/new" --control "$out/turns/control"
    fi
    [ -z "${ACCEPT:-}" ] || accept "tonight's was accepted"
fi
echo "night: $(words $worst)"
exit $worst
