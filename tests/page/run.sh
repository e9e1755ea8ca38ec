#!/bin/sh
# The report's page, a sweep's and growth's in headless Chromium: rendered, clicked, typed at, in dark and light, narrow and wide, printed, with no
# error on its console. A real report is made for it first, under the virtual clock.
# run.sh TIDEMARK [RUN]: RUN is a run's folder to look at instead. Screenshots stay in build/page/shots/.
set -u
tidemark=$1
run=${2:-}
who=test-page
here=tests/page
at=build/page
missing=
browser=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
[ -n "$browser" ] || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs(18+)"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
    echo "test-page: missing here:$missing. On Debian: apt-get install chromium nodejs npm" >&2
    exit 64
fi
. tests/pins.sh
install package-lock.json node_modules || exit 70
mkdir -p "$at/shots"
if [ -z "$run" ]; then
    run=$at/run
    rm -rf "$run"
    "$tidemark" simulate fixtures/scenarios/short.json --out "$run" >"$at/run.log" 2>&1 || { tail -n 5 "$at/run.log"; exit 70; }
fi
rm -rf "$at/sweep" "$at/growth" "$at/timed"
mkdir -p "$at/growth" "$at/timed"
# The same run as if its reads had been timed, which the virtual clock does not.
cp "$run/run.db" "$at/timed/" && node "$here/timed.js" "$run/report.json" "$at/timed/report.json" && "$tidemark" report "$at/timed" >/dev/null || exit 70
"$tidemark" sweep --intervals 2m,10m --modes incremental --out "$at/sweep" >"$at/sweep.log" 2>&1 || { tail -n 5 "$at/sweep.log"; exit 70; }
"${tidemark%/*}/tests/bench_view" growth 100000 "$at/growth" >"$at/growth.log" 2>&1 || { tail -n 5 "$at/growth.log"; exit 70; }
NODE_PATH="$PWD/$at/node_modules" node "$here/page_test.js" "$browser" "$run/report.html" "$at/timed/report.html" "$at/shots" \
    "sweep=$at/sweep/sweep.html" "growth=$at/growth/growth.html"
