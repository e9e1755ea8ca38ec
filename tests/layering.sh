#!/bin/sh
# Who may include whom, and who may ask for time, chance or sleep.
# `layering.sh DIR` checks another tree: tests plant a violation in one.
set -u
root=${1:-.}
cd "$root" || exit 64
bad=0
complain() { echo "layering: $1"; bad=1; }

# folder -> folders it may include, by the first path part of the quoted include
check() { # folder allowed-regex
    [ -d "$1" ] || return 0
    found=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' "$1" |
        grep -vE "#[[:space:]]*include[[:space:]]*\"($2)/") || return 0
    echo "$found" | while IFS= read -r line; do complain "$line (may include only: $2)"; done
    bad=1
}
low='base|event|topic|salesforce'
check harness/base 'base'
check harness/event 'base|event'
check harness/topic 'base|event|topic'
check harness/salesforce 'base|event|salesforce'
for s in source gap reconcile sink view batch; do check "harness/$s" "$low|$s"; done
check harness/check 'base|check'
check harness/simulate "$low|source|gap|reconcile|sink|view|batch|check|simulate|mocks"
check harness/run "$low|source|gap|reconcile|sink|view|batch|check|simulate|run|mocks|reports"
check mocks 'base|topic|mocks'
check reports 'base|reports'
# mocks may use the topic port, not the adapters or the registry client
grep -rnE '#include "topic/(registry|topic_)' --include='*.[ch]' mocks && complain "mocks may include the topic port only"

# What a simulation runs never asks the operating system for time, chance or sleep: stations, mocks, the witness, the
# simulation itself and all that they stand on. Left out are the adapters, which no simulation opens: sockets, TLS, Kafka,
# the real clock, the log's own stamp, secrets. Text in quotes is no call; SQL has chance and clocks of its own.
adapters='^(harness/base/(clock|http_curl|log|secret_gnutls)\.c|harness/topic/topic_rdkafka[a-z_]*\.c|mocks/http/(server|tls)\.c|mocks/kafka/embedded\.c):'
calls='\b(clock_gettime|clock|gettimeofday|time|gmtime|localtime|sleep|usleep|nanosleep|rand|rand_r|random|srand|drand48|getrandom|getentropy|arc4random|getpid|tm_clock_monotonic_ns|tm_clock_realtime_ns|tm_clock_now|tm_secret_random)[[:space:]]*\('
for d in harness/base harness/event harness/topic harness/salesforce harness/source harness/gap harness/reconcile harness/sink \
    harness/view harness/batch harness/check harness/simulate mocks; do
    [ -d "$d" ] || continue
    grep -rnE "$calls" --include='*.c' "$d" | sed -E 's/"([^"\\]|\\.)*"/""/g' | grep -E "$calls" | grep -vE "$adapters" |
        grep -v '^mocks/salesforce/oauth\.c:.*tm_secret_random(pool, left' |
        grep . && complain "$d asks the operating system for time, chance or sleep"
    grep -rniE "\"[^\"]*(\brandom\(|\brandomblob\(|\bcurrent_timestamp\b|'now')" --include='*.c' "$d" &&
        complain "$d asks SQLite for time or chance"
done
# one vendor header, one file
one() { # header-regex allowed-file-regex
    grep -rlE "#[[:space:]]*include[[:space:]]*<($1)>" --include='*.[ch]' harness mocks reports 2>/dev/null |
        grep -vE "$2" | while IFS= read -r f; do echo "layering: $f includes <$1>"; done | grep . && bad=1
}
one 'curl/.*' '^harness/base/http_curl\.c$'
one 'librdkafka/.*' '^(harness/topic/topic_rdkafka[a-z_]*\.[ch]|mocks/kafka/.*)$'
one 'avro\.h' '^harness/event/avro[a-z_]*\.[ch]$'
one 'gnutls/.*' '^(harness/base/secret_gnutls\.c|mocks/http/tls\.c)$'
one 'microhttpd\.h' '^mocks/(salesforce|registry|http)/.*\.c$'
[ "$bad" -eq 0 ] && echo "layering: clean"
exit "$bad"
