#!/bin/sh
# The bug zoo: plants every known bug of tests/zoo/*.patch, one at a time, in a scratch copy of the tree, and has its
# killer find it. Prints one line each; exit 1 when any survives, 2 when a patch no longer applies or does not build.
#   run.sh BUILD          BUILD is the tree's own build folder, already built (build/release)
#   ONLY=33,42 run.sh …   a slice;  SEEDS=N  seeds a mutant may live through before it counts as a survivor
#   SHRINK=0              what simulate kills is not shrunk (some seconds each)
# The first lines of a patch say what it is:
#   Bug: <what is wrong>      Killer: simulate | <test program, as unit_batch>      Seeds: <more than the preset>
set -u
build=$1
mode=$(basename "$build")
root=$(pwd)
zoo=$root/build/zoo/${ZOO_NAME:-$mode}
tree=$zoo/tree
log=$zoo/log
seeds_preset=${SEEDS:-400}
patches=${PATCHES:-tests/zoo}
killed=0 survived=0 broken=0
shrink=${SHRINK:-1}
sizes="" # events that each shrunk history needs
export GIT_CEILING_DIRECTORIES="$zoo" # git apply must not take the scratch tree for a part of the repository
fail() { echo "zoo: $1" >&2; exit 2; }

# A copy with its times, so that make finds nothing to do in it but what a patch touches.
copy_tree() {
    rm -rf "$tree" "$log" "$zoo/kept"
    mkdir -p "$tree/$build" "$log" || exit 2
    for d in Makefile harness mocks reports/*.c reports/*.h reports/embed.sh reports/page fixtures tests .ci; do
        [ -e "$d" ] || continue
        mkdir -p "$tree/$(dirname "$d")" && cp -Rp "$d" "$tree/$(dirname "$d")/" || exit 2
    done
    cp -Rp "$build/." "$tree/$build/" || exit 2
}

header() { sed -n "s/^$2: //p" "$1" | head -1; }
touched() { sed -n 's|^+++ b/||p' "$1"; }

make_targets() { # patch or "" -> targets of the scratch tree
    case $1 in simulate) echo "$build/tidemark";; *) echo "$build/tidemark $build/tests/$1";; esac
}

# The killer's verdict in $verdict (killed, alive, hung, crashed), what it said in $by, what it took in $took.
ask_killer() { # killer, seeds, name
    out=$log/$3.out
    start=$(date +%s)
    case $1 in
    simulate) (cd "$tree" && timeout -k 5 600 "$build/tidemark" simulate --fail-fast --no-shrink --seeds "1..$2") >"$out" 2>"$out.err";;
    *) (cd "$tree" && TIDEMARK_BIN="$build/tidemark" timeout -k 5 300 "$build/tests/$1") >"$out" 2>&1;;
    esac
    code=$?
    took="$(($(date +%s) - start)) s"
    by=""
    case $code in
    0) verdict=alive;;
    124|137) verdict=killed by="never ends";;
    *)
        verdict=killed
        if [ "$1" = simulate ]; then
            by=$(sed -n 's/^seed [0-9]*: //p' "$out" | head -1)
            at=$(sed -n 's/^seed \([0-9]*\):.*/\1/p' "$out" | head -1)
            took="${at:-?} seeds" # the first one that fails is the last that was run
            [ "$code" -ge 128 ] && by="crash: $(tail -1 "$out.err")"
            [ -n "$by" ] || { verdict=broken; by="exit $code: $(tail -1 "$out.err")"; }
        else
            by=$(sed -n 's/^\[  FAILED  \] .*: //p;s/^\[  FAILED  \] //p' "$out" | grep -v 'test(s)' | head -1)
            [ "$code" -ge 128 ] && by="crash"
            [ -n "$by" ] || { verdict=broken; by="exit $code"; }
        fi;;
    esac
}

# How many events the killer's seed needs, in $events, once it is shrunk. Where the bug is in a view, the case that
# tells of it must fail with the bug and pass without: else the story is not the bug's.
ask_shrunk() { # patch, name
    events=-
    case $took in *seeds) seed=${took% seeds};; *) return;; esac
    [ "$shrink" != 0 ] && [ "$seed" != "?" ] || return
    (cd "$tree" && timeout -k 5 600 "$build/tidemark" simulate --seeds "$seed..$seed" --out "$log/$2.case") >"$log/$2.shrunk" 2>&1
    events=$(sed -n 's/^seed [0-9]* shrunk in [0-9]* runs to \([0-9]*\) event.*/\1/p' "$log/$2.shrunk")
    [ -n "$events" ] || { verdict=broken; by="not shrunk: $(tail -1 "$log/$2.shrunk")"; events=-; return; }
    sizes="$sizes $events"
    touched "$1" | grep -qv '^harness/view/' && return
    case=$log/$2.case/simulate-$seed
    (cd "$tree" && "$build/tidemark" test "$case") >"$log/$2.with" 2>&1
    with=$?
    "$root/$build/tidemark" test "$case" >"$log/$2.without" 2>&1
    [ $with -eq 1 ] && [ $? -eq 0 ] && return
    verdict=broken
    by="the shrunk case does not tell the bug: see $log/$2.with and .without"
}

row() { printf '%-4s %-34s %-9s %-10s %-6s %s\n' "$1" "$2" "$3" "$4" "$5" "$6"; }

plant() { # patch
    case $1 in /*) patch=$1;; *) patch=$root/$1;; esac
    name=$(basename "$1" .patch)
    number=${name%%-*}
    title=${name#*-}
    killer=$(header "$1" Killer)
    seeds=$(header "$1" Seeds)
    [ -n "$(header "$1" Bug)" ] && [ -n "$killer" ] && [ -n "$(touched "$1")" ] || { # never a skip
        row "$number" "$title" BROKEN "" - "the patch lacks Bug:, Killer: or a file"; broken=$((broken + 1)); return; }
    for f in $(touched "$1"); do # kept with their times: source, and the object of the honest build
        mkdir -p "$zoo/kept/$(dirname "$f")" && cp -p "$tree/$f" "$zoo/kept/$f"
        [ ! -f "$tree/$build/${f%.c}.o" ] || cp -p "$tree/$build/${f%.c}.o" "$zoo/kept/$f.o"
    done
    if ! (cd "$tree" && git apply --whitespace=nowarn "$patch") 2>"$log/$name.apply"; then
        row "$number" "$title" BROKEN "" - "the patch no longer applies: $(head -1 "$log/$name.apply")"
        broken=$((broken + 1))
        return
    fi
    for f in $(touched "$1"); do touch "$tree/$f"; done
    # shellcheck disable=SC2046
    if ! (cd "$tree" && make -s CI= MODE="$mode" $(make_targets "$killer")) >"$log/$name.make" 2>&1; then
        row "$number" "$title" BROKEN "" - "does not build: $(grep -m1 error "$log/$name.make")"
        broken=$((broken + 1))
    else
        ask_killer "$killer" "${seeds:-$seeds_preset}" "$name"
        events=-
        [ "$verdict" = killed ] && [ "$killer" = simulate ] && ask_shrunk "$1" "$name"
        case $verdict in
        killed) killed=$((killed + 1)); row "$number" "$title" killed "$took" "$events" "$killer: $(echo "$by" | cut -c1-110)";;
        alive) survived=$((survived + 1)); row "$number" "$title" SURVIVED "${seeds:-$seeds_preset}" - "$killer saw nothing";;
        *) broken=$((broken + 1)); row "$number" "$title" BROKEN "$took" "$events" "$killer: $by";;
        esac
    fi
    for f in $(touched "$1"); do
        mv "$zoo/kept/$f" "$tree/$f"
        [ ! -f "$zoo/kept/$f.o" ] || mv "$zoo/kept/$f.o" "$tree/$build/${f%.c}.o"
    done
}

wanted() { # number -> is it in ONLY?
    [ -z "${ONLY:-}" ] && return 0
    case ",$ONLY," in *",$1,"*) return 0;; esac
    return 1
}

[ -x "$build/tidemark" ] || fail "no $build/tidemark: make it first"
list=
for p in "$patches"/*.patch; do
    [ -f "$p" ] || fail "no patches in $patches"
    n=$(basename "$p")
    if wanted "${n%%-*}"; then list="$list $p"; fi
done
[ -n "$list" ] || fail "ONLY=${ONLY:-} names no patch"
copy_tree
row nr bug result took events "killed by"
# Every killer first looks at the honest program: what finds a bug there proves nothing.
for killer in $(for p in $list; do header "$p" Killer; done | sort -u); do
    # shellcheck disable=SC2046
    (cd "$tree" && make -s CI= MODE="$mode" $(make_targets "$killer")) >"$log/honest-$killer.make" 2>&1 || fail "$killer does not build"
    ask_killer "$killer" "${HONEST_SEEDS:-20}" "honest-$killer"
    [ "$verdict" = alive ] || { row 0 honest ALARM "$took" - "$killer: $by"; exit 2; }
    row 0 honest silent "$took" - "$killer"
done
for p in $list; do plant "$p"; done
echo "$killed killed, $survived survived, $broken broken"
# shellcheck disable=SC2086
[ -z "$sizes" ] || printf '%s\n' $sizes | sort -n | awk '{ n[NR] = $1; more += $1 > 5 }
    END { print "events needed: median " n[int((NR + 1) / 2)] ", most " n[NR] "; " more " of " NR " need more than five" }'
[ "$broken" -eq 0 ] || exit 2
[ "$survived" -eq 0 ]
