#!/bin/sh
# Real clients against `tidemark serve`: installs them, pinned, into build/clients by pip, npm and mvn (once), runs
# every test here, and says how many clients passed. ONLY="jsforce singer" runs some of them.
# Nothing is skipped: what is missing on this machine is named, and that is a failure.
set -u
tidemark=$1
who=test-clients
here=tests/clients
at=build/clients
missing=
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || missing="$missing python3-venv(3.9+)"
command -v node >/dev/null 2>&1 || missing="$missing nodejs(18+)"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
command -v javac >/dev/null 2>&1 || missing="$missing javac(17+)"
command -v mvn >/dev/null 2>&1 || missing="$missing mvn"
if [ -n "$missing" ]; then
    echo "test-clients: missing here:$missing. On Debian: apt-get install python3-venv nodejs npm default-jdk-headless maven" >&2
    exit 64
fi
. tests/pins.sh
python() { # VENV REQUIREMENTS
    rm -rf "$at/$1" && python3 -m venv "$at/$1" && "$at/$1/bin/pip" install --quiet --no-deps -r "$here/$2"
}
java_libraries() {
    rm -rf "$at/java" && mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$PWD/$at/java"
}
install requirements.txt python python requirements.txt &&
    install requirements-airbyte.txt python airbyte requirements-airbyte.txt &&
    install package-lock.json node_modules &&
    install pom.xml java_libraries || exit 70

export CLASSPATH="$PWD/$at/java/*" TIDEMARK_BIN="$tidemark" NODE_PATH="$PWD/$at/node_modules" PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
# All at once: each has a server of its own, and most of the time is waiting for polls.
passed=0 failed=0 names=
for t in "$here"/*_test.*; do
    name=$(basename "$t" | sed 's/_test\..*//')
    case " ${ONLY:-$name} " in *" $name "*) ;; *) continue;; esac
    case $t in
    *airbyte_test.py) with=$at/airbyte/bin/python;;
    *.py) with=$at/python/bin/python;;
    *.java) with=java;;
    *) with=node;;
    esac
    timeout 240 $with "$t" >"$at/log/$name.log" 2>&1 &
    names="$names $name:$!"
done
for each in $names; do
    name=${each%:*}
    if wait "${each#*:}"; then
        passed=$((passed + 1))
        echo "ok    $name ($(grep -c '^ok ' "$at/log/$name.log") tests)"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        tail -n 60 "$at/log/$name.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
