#!/bin/sh
# Real Apache Kafka (one KRaft node) and a real schema registry (Apicurio) on loopback, from Maven Central; no Docker.
#   real.sh fetch                      what is missing, once, to build/real/ (KAFKA_VERSION, REGISTRY_VERSION)
#   real.sh with COMMAND [ARGUMENT...] both for as long as COMMAND runs, which finds TIDEMARK_BROKERS and TIDEMARK_REGISTRY
#   real.sh broker DIR PORT            the broker alone, in the foreground; its log and data in DIR outlive it
#   real.sh registry DIR PORT          the registry alone, in the foreground; its data in DIR outlives it
# BROKER_PROPERTIES names a file of further server properties (listeners, TLS), which win; BROKER_SCRAM is a user that a new
# broker knows from the start, as Kafka's StorageTool takes one: SCRAM-SHA-512=[name=N,password=P]. What is started here ends
# with whoever started it, however that ends. Needs java 17 and mvn, fetched by .ci/packages kafka, and the program built.
# Exit code of `with`: COMMAND's; 69 when a part did not come up.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
parts=$here/../../build/real
kafka=${KAFKA_VERSION:-3.9.2}
registry=${REGISTRY_VERSION:-3.0.9}
tidemark=${TIDEMARK_BIN:-$here/../../build/release/tidemark}
wait_s=90 # for a part to be up, on a busy machine
copy=org.apache.maven.plugins:maven-dependency-plugin

die() { echo "tidemark: $*" >&2; exit 69; }

# as_child SIGNAL COMMAND...: exec; gets the signal when its parent goes, where the system can that (util-linux).
as_child() {
    signal=$1
    shift
    if command -v setpriv >/dev/null 2>&1; then exec setpriv --pdeathsig "$signal" "$@"; else exec "$@"; fi
}

# 17 or newer: `java -version` says version "17.0.15", "1.8.0_292" or "21".
check_java() {
    command -v java >/dev/null 2>&1 || die "there is no java here; sh .ci/packages kafka gets it"
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ] || die "Kafka wants java 17 or newer, this one is ${major:-of no known version}"
}

fetch_kafka() {
    [ ! -e "$parts/kafka-$kafka/ready" ] || return 0
    echo "tidemark: fetching Apache Kafka $kafka (46 MB) with mvn" >&2
    rm -rf "$parts/kafka-$kafka"
    mvn -q -B -f "$here/pom.xml" "-Dkafka.version=$kafka" $copy:3.6.1:copy-dependencies \
        "-DoutputDirectory=$parts/kafka-$kafka" >&2 || die "mvn could not fetch Apache Kafka $kafka, see its words above"
    touch "$parts/kafka-$kafka/ready"
}

# 2.10 of the plugin takes an archive alone; later ones want its parents' descriptions as well.
fetch_registry() {
    [ ! -e "$parts/registry-$registry/ready" ] || return 0
    echo "tidemark: fetching Apicurio Registry $registry (109 MB) with mvn" >&2
    rm -rf "$parts/registry-$registry"
    mkdir -p "$parts/registry-$registry"
    mvn -q -B -f "$here/pom.xml" $copy:2.10:copy "-Dartifact=io.apicurio:apicurio-registry-app:$registry:tar.gz:all" \
        "-DoutputDirectory=$parts/registry-$registry" >&2 || die "mvn could not fetch Apicurio $registry, see its words above"
    tar xzf "$parts/registry-$registry/apicurio-registry-app-$registry-all.tar.gz" -C "$parts/registry-$registry"
    rm "$parts/registry-$registry/apicurio-registry-app-$registry-all.tar.gz"
    touch "$parts/registry-$registry/ready"
}

# Formats DIR when it is new: the cluster's id lives there, so a broker started again on it is the same cluster.
broker() { # DIR PORT
    mkdir -p "$1"
    cat >"$1/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
log.dirs=$1/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
EOF
    [ -z "${BROKER_PROPERTIES:-}" ] || cat "$BROKER_PROPERTIES" >>"$1/server.properties"
    if [ ! -e "$1/data/meta.properties" ]; then
        id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | cut -c1-22) # a leading - would be an option
        java -cp "$parts/kafka-$kafka/*" kafka.tools.StorageTool format -t "$id" -c "$1/server.properties" \
            ${BROKER_SCRAM:+--add-scram "$BROKER_SCRAM"} >"$1/format.log" 2>&1 ||
            { tail -n 20 "$1/format.log" >&2; die "Kafka could not format $1, its words are above"; }
    fi
    exec java -Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.showDateTime=true \
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS -cp "$parts/kafka-$kafka/*" kafka.Kafka "$1/server.properties"
}

registry() { # DIR PORT
    mkdir -p "$1"
    # Confluent's server asks BACKWARD of every subject unless told otherwise; this one asks nothing.
    exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dquarkus.http.host=${REGISTRY_HOST:-127.0.0.1}" "-Dquarkus.http.port=$2" \
        -Dquarkus.management.enabled=false -Dapicurio.storage.kind=sql -Dapicurio.rules.global.compatibility=BACKWARD \
        "-Dapicurio.datasource.url=jdbc:h2:file:$1/registry" \
        -jar "$parts/registry-$registry/apicurio-registry-app-$registry-runner.jar"
}

# A port that nothing listens on, nor on the next; below those the system hands out to clients.
free_port() {
    while port=$(shuf -i 15000-32000 -n 1); do
        pattern=$(printf ':%04X |:%04X ' "$port" $((port + 1)))
        grep -qE "$pattern" /proc/net/tcp /proc/net/tcp6 2>/dev/null || { echo "$port"; return; }
    done
}

until_ready() { # what, pid, log, command that succeeds when it is
    what=$1 pid=$2 log=$3
    shift 3
    ends=$(($(date +%s) + wait_s))
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || { tail -n 20 "$log" >&2; die "the $what ended as it started, its last words are above"; }
        [ "$(date +%s)" -lt $ends ] || { tail -n 20 "$log" >&2; die "the $what is not up after $wait_s s, its last words are above"; }
        sleep 0.2
    done
}

# COMMAND runs beside this shell, so that a signal is passed on at once; ^C reaches it from the terminal as well.
with() {
    [ -x "$tidemark" ] || die "$tidemark is not built: make"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/tidemark-real-XXXXXX")
    broker_pid='' registry_pid='' command_pid=''
    # shellcheck disable=SC2154
    trap 'code=$?; kill -KILL $broker_pid $registry_pid 2>/dev/null || :; wait; rm -rf "$dir"; exit $code' EXIT
    trap '[ -n "$command_pid" ] || exit 130; kill -TERM $command_pid 2>/dev/null || :' INT
    trap '[ -n "$command_pid" ] || exit 143; kill -TERM $command_pid 2>/dev/null || :' TERM HUP
    kafka_port=$(free_port)
    while registry_port=$(free_port) && [ $((registry_port - kafka_port)) -ge -1 ] && [ $((registry_port - kafka_port)) -le 1 ]; do :; done
    as_child KILL sh "$0" broker "$dir/kafka" "$kafka_port" >"$dir/kafka.log" 2>&1 &
    broker_pid=$!
    as_child KILL sh "$0" registry "$dir/registry" "$registry_port" >"$dir/registry.log" 2>&1 &
    registry_pid=$!
    TIDEMARK_BROKERS=127.0.0.1:$kafka_port TIDEMARK_BROKERS_NAME="Apache Kafka $kafka"
    TIDEMARK_REGISTRY=http://127.0.0.1:$registry_port/apis/ccompat/v7 TIDEMARK_REGISTRY_NAME="Apicurio Registry $registry"
    until_ready "Kafka broker" $broker_pid "$dir/kafka.log" "$tidemark" kafka --wait 1 --brokers "$TIDEMARK_BROKERS"
    until_ready "schema registry" $registry_pid "$dir/registry.log" curl -fs "$TIDEMARK_REGISTRY/subjects"
    export TIDEMARK_BROKERS TIDEMARK_BROKERS_NAME TIDEMARK_REGISTRY TIDEMARK_REGISTRY_NAME
    as_child TERM "$@" <&0 &
    command_pid=$!
    code=0
    wait $command_pid || code=$?
    while kill -0 $command_pid 2>/dev/null; do # a signal of ours ended the wait, not the command
        code=0
        wait $command_pid || code=$?
    done
    return $code
}

check_java
case ${1:-} in
fetch) fetch_kafka && fetch_registry;;
with) [ $# -ge 2 ] || die "real.sh with needs a command"; shift; fetch_kafka; fetch_registry; with "$@";;
broker) [ $# -eq 3 ] || die "real.sh broker needs DIR and PORT"; fetch_kafka; broker "$2" "$3";;
registry) [ $# -eq 3 ] || die "real.sh registry needs DIR and PORT"; fetch_registry; registry "$2" "$3";;
*) die "usage: real.sh fetch | with COMMAND... | broker DIR PORT | registry DIR PORT";;
esac
