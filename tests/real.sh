#!/bin/sh
# make test-real: what depends on the broker and the registry, on real ones: both contracts, the main job end to end, and
# the programs real_*, which start brokers of their own as well. KAFKA_VERSIONS="3.9.2 4.1.2": the last has them all, those
# before it the contracts, the main job, topics and sign-in. ONLY= as for tests/run.sh.
set -u
build=$1
failed=0
versions=${KAFKA_VERSIONS:-3.9.2 4.1.2}
for version in $versions; do
    echo "Apache Kafka $version"
    programs="contract_topic contract_registry e2e_run real_topics real_security"
    [ "$version" != "${versions##* }" ] || programs="$programs real_"
    KAFKA_VERSION=$version TIDEMARK_BIN=$build/tidemark ONLY=${ONLY:-$programs} \
        sh mocks/kafka/real.sh with sh tests/run.sh "$build" || failed=1
done
exit $failed
