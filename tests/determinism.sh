#!/bin/sh
# One seed is one run, byte for byte, in every build: `determinism.sh BINARY BINARY [A..B]` runs the
# seeds twice with the first binary and once with the second, and compares every line, which holds
# the digest of all steps and records of its seed. An uninitialised byte, an address or a clock that
# finds its way into a run shows here; so does what the program keeps from seed to seed, for the last
# seed is run alone as well. Nothing is kept between calls, so nothing grows old.
set -u
[ $# -ge 2 ] || { echo "usage: determinism.sh BINARY BINARY [A..B]" >&2; exit 64; }
seeds=${3:-1..25}
dir=$(mktemp -d) || exit 70
trap 'rm -rf "$dir"' EXIT
bad=0
run() { # binary, into
    "$1" simulate --seeds "$seeds" --verbose --no-shrink >"$dir/$2" 2>"$dir/$2.err"
    code=$?
    [ $code -le 1 ] && [ -s "$dir/$2" ] && return
    echo "determinism: $1 ended with $code:"
    cat "$dir/$2.err"
    exit 1
}
same() { # one, other, what
    cmp -s "$dir/$1" "$dir/$2" && return
    echo "determinism: $3 differ on seeds $seeds; the first lines that do:"
    diff "$dir/$1" "$dir/$2" | head -4
    bad=1
}
run "$1" first
run "$1" again
run "$2" other
last=${seeds##*.}
"$1" simulate --seeds "$last" --verbose --no-shrink 2>/dev/null | grep "^seed $last:" >"$dir/alone"
grep "^seed $last:" "$dir/first" >"$dir/in_row"
same in_row alone "seed $last after the others and seed $last alone"
same first again "two runs of $1"
same first other "$1 and $2"
[ $bad -eq 0 ] && echo "determinism: seeds $seeds: two runs of $1 and one of $2 are the same, byte for byte"
exit $bad
