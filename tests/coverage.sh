#!/bin/sh
# Lines reached by the tests of a MODE=cov build, by folder, from gcov's own counts.
set -eu
build=$1
find "$build/harness" "$build/mocks" "$build/reports" -name '*.gcda' | while read -r data; do
    gcov -n -o "$(dirname "$data")" "$data" 2>/dev/null
done | awk -v q="'" '
    /^File/ { split($0, part, q); file = part[2] }
    /^Lines executed/ && file ~ /^(harness|mocks|reports)\// {
        split($0, n, /[:% ]+/); covered = n[3] * n[5] / 100
        dir = file; sub(/\/[^\/]*$/, "", dir)
        lines[dir] += n[5]; hit[dir] += covered; file = ""
    }
    END { for (d in lines) { printf "%5.1f %%  %6d lines  %s\n", 100 * hit[d] / lines[d], lines[d], d; all += lines[d]; got += hit[d] }
          printf "%5.1f %%  %6d lines  in all\n", 100 * got / all, all }' | sort -k4
