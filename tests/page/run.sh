#!/bin/sh
# The report's page, a sweep's and growth's in headless Chromium: rendered, clicked, typed at, in dark and light, narrow and wide, printed, with no
# error on its console. A real report is made for it first, under the virtual clock.
# run.sh TIDEMARK [RUN]: RUN is a run's folder to look at instead. Screenshots stay in build/page/shots/.
set -u
tidemark=$1
run=${2:-}
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
mkdir -p "$at/shots"
sum=$(cat "$here/package-lock.json" | cksum)
if [ "$(cat "$at/installed" 2>/dev/null)" != "$sum" ]; then
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$at/"
    if ! (cd "$at" && npm ci --ignore-scripts) >"$at/install.log" 2>&1; then
        tail -n 20 "$at/install.log"
        echo "test-page: what $here/package-lock.json pins could not be installed" >&2
        exit 70
    fi
    echo "$sum" >"$at/installed"
fi
if [ -z "$run" ]; then
    run=$at/run
    rm -rf "$run"
    "$tidemark" simulate fixtures/scenarios/short.json --out "$run" >"$at/run.log" 2>&1 || { tail -n 5 "$at/run.log"; exit 70; }
fi
rm -rf "$at/sweep" "$at/growth"
mkdir -p "$at/growth"
"$tidemark" sweep --intervals 2m,10m --modes incremental --out "$at/sweep" >"$at/sweep.log" 2>&1 || { tail -n 5 "$at/sweep.log"; exit 70; }
"${tidemark%/*}/tests/bench_view" growth 100000 "$at/growth" >"$at/growth.log" 2>&1 || { tail -n 5 "$at/growth.log"; exit 70; }
NODE_PATH="$PWD/$at/node_modules" node "$here/page_test.js" "$browser" "$run/report.html" "$at/shots" \
    "sweep=$at/sweep/sweep.html" "growth=$at/growth/growth.html"
