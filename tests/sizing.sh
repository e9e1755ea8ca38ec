#!/bin/sh
# What a second of one core carries, on a real broker: for so many partitions, a sink that reads a backlog with so many tasks, two
# processes of one group, and a view beside. Prints a Markdown table. The backlog is of an org at work:
# day.json with fewer hours. Times are those of this machine as it is; CPU is what the processes took.
#   sizing.sh BUILD [PARTITIONS...]      needs java 17, mvn once, jq, sqlite3
set -eu
build=$1
shift
tidemark=$build/tidemark
folder=$(mktemp -d "${TMPDIR:-/tmp}/tidemark-sizing-XXXXXX")
pids='' variants=0
hertz=$(getconf CLK_TCK)
end() {
    code=$?
    for p in $pids; do kill -KILL "$p" 2>/dev/null || :; done
    wait 2>/dev/null || :
    [ $code -eq 0 ] || tail -n 3 "$folder"/*.log >&2
    rm -rf "$folder"
    exit $code
}
trap end EXIT
trap 'exit 130' INT TERM HUP

start() { # name, command...: $! is the process
    name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 &
    pids="$pids $!"
}
until_true() { # seconds, command
    left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || { echo "sizing: waited in vain for: $*" >&2; exit 1; }
        sleep 0.2
    done
}
ask() { sqlite3 -readonly "$1" "$2" 2>/dev/null || echo 0; }
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
# rows FILE...: written by now, of every partition by who has most of it
rows() {
    for f in "$@"; do sqlite3 -readonly -separator ' ' "$f" 'SELECT topic||"/"||partition, next_offset FROM _offsets' 2>/dev/null || :; done |
        awk '{if ($2 > n[$1]) n[$1] = $2} END {for (k in n) sum += n[k]; print sum + 0}'
}
filled() { [ "$(rows "$folder"/raw-$1-*.db)" -ge "$total" ]; }
still() { # a process that takes no more CPU for two seconds
    before=$(ticks "$1")
    sleep 2
    [ $(($(ticks "$1") - before)) -le 4 ]
}
config() { jq --arg p "$partitions" "(if has(\"config\") then .config else . end) |= (. + {\"tidemark.partitions\": \$p} + $2)" \
    "fixtures/connectors/$1.json" >"$folder/$1.json"; }

backlog() {
    jq '.hours = 3 | .workload.changes = 30000 | .workload.records = 10000 | del(.pipelines)' fixtures/scenarios/day.json >"$folder/org.json"
    start kafka sh mocks/kafka/real.sh broker "$folder/kafka" $port
    start registry sh mocks/kafka/real.sh registry "$folder/registry" $((port + 2))
    until_true 120 "$tidemark" kafka --wait 1
    until_true 60 curl -fs "$TIDEMARK_REGISTRY/subjects"
    start org "$tidemark" serve --port $((port + 3)) --org "$folder/org.db" --objects fixtures/objects --scenario "$folder/org.json" --quiet
    until_true 60 curl -fs "$TIDEMARK_SALESFORCE_URL/tidemark/v1/clock"
    for c in source-account source-opportunity source-user; do
        config $c '{}'
        start $c "$tidemark" source "$folder/$c.json" --state "$folder/$c"
    done
    config gap '{}'
    config reconcile '{}'
    start gap "$tidemark" gap "$folder/gap.json" --state "$folder/gap"
    start reconcile "$tidemark" reconcile "$folder/reconcile.json" --state "$folder/reconcile"
    config sink-bigquery '{"tasks.max": "1", "group.id": "first"}'
    start sink "$tidemark" sink "$folder/sink-bigquery.json" --warehouse "$folder/raw-first-0.db"
    sleep 45 # three hours of the org at 360 are 30 s
    until_true 180 still $!
    total=$(rows "$folder/raw-first-0.db")
}
# One variant: processes, tasks of each.
drain() {
    variants=$((variants + 1))
    config sink-bigquery "{\"tasks.max\": \"$2\", \"group.id\": \"v$variants\"}"
    begun=$(date +%s%N) mine=''
    i=0
    while [ $i -lt "$1" ]; do
        start "sink-$variants-$i" "$tidemark" sink "$folder/sink-bigquery.json" --warehouse "$folder/raw-v$variants-$i.db" \
            $([ "$1" -eq 1 ] || echo --shared --instance "$i")
        mine="$mine $!"
        i=$((i + 1))
    done
    until_true 300 filled v$variants
    wall=$((($(date +%s%N) - begun) / 1000000))
    spent=0
    for p in $mine; do spent=$((spent + $(ticks "$p"))); done
    for p in $mine; do kill "$p"; done
    cpu_ms=$((spent * 1000 / hertz))
    echo "| $partitions | $1 sink, tasks.max $2 | $total | $((wall / 100 / 10)).$((wall / 100 % 10)) s | $((cpu_ms / 100 / 10)).$((cpu_ms / 100 % 10)) s | $((total * 1000 / cpu_ms)) |"
}
view() {
    start view "$tidemark" view fixtures/connectors/view.json --raw "$folder/raw-first-0.db" --warehouse "$folder/view.db" --objects fixtures/objects
    v=$!
    sleep 1
    until_true 300 still $v
    cpu_ms=$(($(ticks $v) * 1000 / hertz))
    kill $v
    echo "| $partitions | view | $total | | $((cpu_ms / 100 / 10)).$((cpu_ms / 100 % 10)) s | $((total * 1000 / cpu_ms)) |"
}

echo "| partitions | reads the backlog | rows | took | CPU | rows a CPU second |"
echo "|--:|---|--:|--:|--:|--:|"
port=23092
for partitions in ${*:-1 6 12}; do
    export TIDEMARK_SALESFORCE_USERNAME=integration@tidemark.example TIDEMARK_SALESFORCE_PASSWORD=tidemark \
        TIDEMARK_SALESFORCE_TOKEN=TOKEN TIDEMARK_SALESFORCE_CLIENT_ID=tidemark-consumer-key \
        TIDEMARK_SALESFORCE_CLIENT_SECRET=tidemark-consumer-secret TIDEMARK_SALESFORCE_URL=http://127.0.0.1:$((port + 3)) \
        TIDEMARK_BROKERS=127.0.0.1:$port TIDEMARK_REGISTRY=http://127.0.0.1:$((port + 2))/apis/ccompat/v7
    backlog
    drain 1 1
    [ "$partitions" -eq 1 ] || { drain 1 6; drain 2 3; }
    view
    for p in $pids; do kill -KILL "$p" 2>/dev/null || :; done
    wait 2>/dev/null || :
    pids=''
    rm -rf "$folder"/*
    port=$((port + 10))
done
