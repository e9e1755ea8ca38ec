#!/bin/sh
# long.sh BUILD CHANGES: fixtures/scenarios/long.json with so many changes, at its own pace, into
# reports/out/long; then what each process's memory did and what each file came to. Memory of a station that grows by more than
# GROWTH bytes a million changes fails it; the broker fills to its own bound, and the witness keeps all that happened.
set -eu
build=$1 changes=$2 growth=${GROWTH:-20000000}
out=${OUT:-reports/out/long}
scenario=fixtures/scenarios/long.json
if [ "$changes" != 10000000 ]; then
    mkdir -p reports/out
    scenario=reports/out/scenarios/long.json
    mkdir -p reports/out/scenarios
    for beside in objects connectors batch; do ln -sfn "$(pwd)/fixtures/$beside" "reports/out/$beside"; done
    jq --argjson n "$changes" '.hours = .hours * $n / .workload.changes | .workload.changes = $n' fixtures/scenarios/long.json >"$scenario"
fi
code=0
"$build/tidemark" run "$scenario" --out "$out" || code=$?
[ -f "$out/report.json" ] || exit "$code"
echo
echo "memory, MB:        at first  at the end  highest  growth a million changes"
jq -r '.processes[] | [.name, (.memory // {})] | "\(.[0])\t\(.[1].first_bytes // 0)\t\(.[1].last_bytes // 0)\t\(.[1].peak_bytes // 0)\t\(.[1].per_million_bytes // "-")"' "$out/report.json" |
    awk -F '\t' '{ printf "%-18s %8.1f  %10.1f  %7.1f  %s\n", $1, $2/1e6, $3/1e6, $4/1e6, $5 == "-" ? "-" : sprintf("%.1f", $5/1e6) }'
echo
echo "disk, MB:"
du -sm "$out"/*.db* "$out"/trace "$out"/log "$out"/usage.csv | awk '{ n = split($2, part, "/"); printf "%-18s %8d\n", part[n], $1 }'
grew=$(jq -r --argjson most "$growth" '[.processes[] | select(.name != "kafka" and .name != "witness") | select((.memory.per_million_bytes // 0) > $most) | .name] | join(" ")' "$out/report.json")
[ -z "$grew" ] || { echo "grows by more than $growth bytes a million changes: $grew" >&2; exit 1; }
exit "$code"
