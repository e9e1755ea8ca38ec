#!/bin/sh
# make test-real: what depends on the broker and the registry, on real ones: both contracts, the main job end to end, and
# the programs real_*, which start brokers of their own as well. KAFKA_VERSIONS="3.9.2 4.1.2"; ONLY= as for tests/run.sh.
set -u
build=$1
failed=0
sh mocks/kafka/real.sh fetch || exit 69
for version in ${KAFKA_VERSIONS:-3.9.2 4.1.2}; do
    echo "Apache Kafka $version"
    KAFKA_VERSION=$version TIDEMARK_BIN=$build/tidemark ONLY=${ONLY:-contract_topic contract_registry e2e_run real_} \
        sh mocks/kafka/real.sh with sh tests/run.sh "$build" || failed=1
done
exit $failed
