#!/bin/sh
# Three hosts that have nothing but the network in common, as three network namespaces of this machine:
#   a  the org, a real Kafka broker, a registry      b  sources, gap, a sink with its view      c  reconcile, a sink with its view
# The sinks are one group: each has the partitions it was given, and a witness beside its view.db follows it. What must hold:
# both witnesses' parts, merged, show one copy that is equal to the org, with every change seen once and instants on one clock;
# also after b's network is cut while the org goes on changing and healed, and after the org is killed and started again on its
# file. Parts that do not make a whole are refused. Prints how long equality took.
#   hosts.sh BUILD      needs root, ip (iproute2) and java; exits 77 where namespaces are not permitted
set -eu
build=$1
tidemark=$build/tidemark
id=tm$$
net=10.77.0
port=19092 registry_port=18081 org_port=18080
folder=$(mktemp -d "${TMPDIR:-/tmp}/tidemark-hosts-XXXXXX")
pids=''
patience_s=90

sh mocks/kafka/real.sh fetch # here: a namespace reaches nothing but the others
ip netns add $id-a 2>/dev/null || { echo "hosts: network namespaces are not permitted here"; rmdir "$folder"; exit 77; }
end() {
    code=$?
    for p in $pids; do kill -KILL "$p" 2>/dev/null || :; done
    wait 2>/dev/null || :
    for h in a b c; do ip netns del $id-$h 2>/dev/null || :; done
    [ $code -eq 0 ] || tail -n 4 "$folder"/*/*.log >&2
    [ -n "${TIDEMARK_KEEP:-}" ] || rm -rf "$folder"
    exit $code
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# A host: its loopback, and a cable to the switch, which stands in a.
ip -n $id-a link add switch type bridge
ip -n $id-a addr add $net.1/24 dev switch
ip -n $id-a link set switch up
ip -n $id-a link set lo up
for h in b c; do
    ip netns add $id-$h
    ip -n $id-a link add to-$h type veth peer name eth0 netns $id-$h
    ip -n $id-a link set to-$h master switch up
    ip -n $id-$h link set eth0 up
    ip -n $id-$h link set lo up
done
ip -n $id-b addr add $net.2/24 dev eth0
ip -n $id-c addr add $net.3/24 dev eth0
mkdir "$folder/a" "$folder/b" "$folder/c"

export TIDEMARK_SALESFORCE_USERNAME=integration@tidemark.example TIDEMARK_SALESFORCE_PASSWORD=tidemark \
    TIDEMARK_SALESFORCE_TOKEN=TOKEN TIDEMARK_SALESFORCE_CLIENT_ID=tidemark-consumer-key \
    TIDEMARK_SALESFORCE_CLIENT_SECRET=tidemark-consumer-secret TIDEMARK_SALESFORCE_URL=http://$net.1:$org_port \
    TIDEMARK_BROKERS=$net.1:$port TIDEMARK_REGISTRY=http://$net.1:$registry_port/apis/ccompat/v7
unset TIDEMARK_EMBEDDED TIDEMARK_CLOCK

# start HOST NAME COMMAND...: in the background, its words in HOST/NAME.log; $! is the process itself
start() {
    host=$1 name=$2
    shift 2
    ip netns exec $id-$host "$@" >>"$folder/$host/$name.log" 2>&1 &
    pids="$pids $!"
}
until_true() { # what, command: within patience_s; says how long it took
    what=$1 begun=$(date +%s)
    shift
    until "$@" >/dev/null 2>&1; do
        [ $(($(date +%s) - begun)) -lt $patience_s ] || { echo "hosts: $what: not within $patience_s s" >&2; exit 1; }
        sleep 0.5
    done
    echo "hosts: $what after $(($(date +%s) - begun)) s"
}
ask() { ip netns exec $id-a curl -sS --fail-with-body "$TIDEMARK_SALESFORCE_URL/tidemark/v1/$1" ${2:+-d "$2"} && echo; }
start_org() {
    start a org "$tidemark" serve --bind $net.1 --port $org_port --org "$folder/a/org.db" --quiet
    org=$!
    until_true "the org answers" ask clock
}
start_station() { # host, command, config, flags...
    host=$1 command=$2 config=$3
    shift 3
    start "$host" "$config" "$tidemark" "$command" "fixtures/connectors/$config.json" --state "$folder/$host/$config" \
        --instance "$config-$host" "$@"
}
# changes FROM TO KIND: so many accounts, each a commit of its own
changes() {
    n=$1
    while [ "$n" -le "$2" ]; do
        case $3 in
        create) ask commit "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"Tide $n\"}}]}" |
            sed 's/.*"ids":\["\([^"]*\)".*/\1/' >>"$folder/a/ids";;
        update) ask commit "{\"changes\":[{\"change\":\"update\",\"object\":\"Account\",\"id\":\"$(sed -n "$((n % 40 + 1))p" "$folder/a/ids")\",\"fields\":{\"Name\":\"Ebb $n\"}}]}" >/dev/null;;
        gap) ask commit "{\"changes\":[{\"change\":\"update\",\"object\":\"Account\",\"id\":\"$(sed -n "$((n % 40 + 1))p" "$folder/a/ids")\",\"fields\":{\"Name\":\"Neap $n\"},\"announce\":\"gap\"}]}" >/dev/null;;
        esac
        n=$((n + 1))
    done
}
# A witness beside each view.db follows it, and leaves its part when it is told to end. Merging sees folders of two hosts, as a
# person would who has copied them.
start_witnesses() { # name
    for h in b c; do
        start $h "$1" "$tidemark" check --part "$folder/$h/$1" --warehouse "$folder/$h/view.db" --raw "$folder/$h/raw.db" \
            Account Opportunity User
        eval "witness_$h=$!"
    done
}
end_witness() { kill "$1" && wait "$1"; }
merge() { # out, parts...: their report; exit code by its verdict
    out=$1
    shift
    "$tidemark" check --merge --org "$folder/a/org.db" --out "$folder/$out" "$@"
}
equal() { # what witnesses see that look for a second
    start_witnesses probe
    sleep 1
    end_witness $witness_b && end_witness $witness_c || return 1
    merge probe "$folder/b/probe" "$folder/c/probe" >"$folder/a/verdict.log" 2>&1
}

cat >"$folder/broker.properties" <<EOT
listeners=PLAINTEXT://$net.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://$net.1:$port
EOT
BROKER_PROPERTIES=$folder/broker.properties start a kafka sh mocks/kafka/real.sh broker "$folder/a/kafka" $port
REGISTRY_HOST=$net.1 start a registry sh mocks/kafka/real.sh registry "$folder/a/registry" $registry_port
start_org
until_true "the broker answers" ip netns exec $id-b "$tidemark" kafka --wait 1
until_true "the registry answers" ip netns exec $id-b curl -fs "$TIDEMARK_REGISTRY/subjects"
for o in account opportunity user; do start_station b source source-$o; done
start_station b gap gap
start_station c reconcile reconcile
for h in b c; do
    start_station $h sink sink-bigquery --shared --warehouse "$folder/$h/raw.db"
    start_station $h view view --raw "$folder/$h/raw.db" --warehouse "$folder/$h/view.db" --objects fixtures/objects
done
start_witnesses witness
long_b=$witness_b long_c=$witness_c

for h in b c; do echo "hosts: $h: $(ip netns exec $id-$h "$tidemark" clock)"; done
changes 1 40 create
changes 1 20 update
changes 21 25 gap
until_true "equal over three hosts" equal
ip -n $id-a link set to-b down
changes 100 140 update
changes 141 145 gap
sleep "${CUT_S:-20}"
! ip netns exec $id-b "$tidemark" clock >/dev/null 2>&1 || { echo "hosts: b still reaches the org: what did this test cut?" >&2; exit 1; }
ip -n $id-a link set to-b up
until_true "equal again after b's network was cut for ${CUT_S:-20} s" equal
kill -KILL "$org"
sleep 3
start_org
changes 200 220 update
changes 221 225 gap
until_true "equal again after the org was killed" equal

# The whole time, as the two witnesses that never stopped saw it.
refused() { # word, parts...: nothing is merged of them, for this reason
    word=$1
    shift
    merge refused "$@" >"$folder/said" 2>&1 && code=0 || code=$?
    [ $code -eq 64 ] && grep -q "$word" "$folder/said" || { echo "hosts: exit $code, not 64 with \"$word\":"; cat "$folder/said"; exit 1; } >&2
}
end_witness $long_b
end_witness $long_c
merge report "$folder/b/witness" "$folder/c/witness" || { cat "$folder"/*/witness.log; exit 1; } >&2
jq -e '.verdict == "pass" and (.parts | length) == 2 and all(.parts[]; .clock_bound_ms > 0 and .comparisons > 5) and # one every 2 s, none while cut
    all(.parts[].partitions; .Account | length > 0) and (.parts | map(.partitions.Account[]) | sort) == [range(6)] and
    (.pipelines[0].freshness_s | .count > 100 and .never == 0 and .unseen == 0) and
    .pipelines[0].anomalies.duplicate.count == 0 and (.self_tests | all(.ok != false))' "$folder/report/report.json" >/dev/null ||
    { echo "hosts: not what a merged report says:"; jq '{verdict, parts, f: .pipelines[0].freshness_s}' "$folder/report/report.json"; exit 1; } >&2
jq -r '.parts[] | "hosts: \(.folder | split("/")[-2]): partitions of Account \(.partitions.Account), clock ahead \(.clock_ahead_ms) ms +- \(.clock_bound_ms) ms in \(.comparisons) comparisons"' \
    "$folder/report/report.json"
refused 'no folder' "$folder/b/witness"
refused 'is given twice' "$folder/b/witness" "$folder/b/witness"
refused 'clock-bound-ms' --clock-bound-ms 0.0001 "$folder/b/witness" "$folder/c/witness"
echo "hosts: parts that make no whole are refused"
