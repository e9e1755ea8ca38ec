#!/bin/sh
# Turns files into C arrays: `embed.sh NAME=FILE …` writes `const unsigned char tm_page_NAME[]`, zero-terminated.
set -eu
printf '/* made by reports/embed.sh; do not edit */\n#include "reports/page.h"\n'
for item in "$@"; do
    name=${item%%=*}
    printf 'const unsigned char tm_page_%s[] = {\n' "$name"
    od -An -v -tu1 "${item#*=}" | sed -e 's/^ *//' -e 's/  */,/g' -e 's/,$//' -e 's/$/,/'
    printf '0};\n'
done
