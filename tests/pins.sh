# What a suite's own folder pins, installed once (sourced; sets nothing but functions). Before: who = the suite's name in
# messages, here = its folder with the pins, at = its folder under build/.

# install WHAT COMMAND...: unless done before with the same pins
install() {
    mkdir -p "$at/log"
    stamp=$at/$1.installed
    sum=$(cat "$here/$1" | cksum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
    what=$1
    shift
    echo "$who: installing what $here/$what pins"
    if ! "$@" >"$at/log/install.log" 2>&1; then
        tail -n 20 "$at/log/install.log"
        echo "$who: $what could not be installed" >&2
        return 1
    fi
    echo "$sum" >"$stamp"
}
node_modules() {
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$at/" && (cd "$at" && npm ci --ignore-scripts)
}
