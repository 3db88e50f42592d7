#!/bin/sh
# Installs what the tests need of the system, where that is Debian and we are root; says what is missing otherwise.
set -eu

missing=""
need() { missing="$missing $1"; }

command -v cc >/dev/null || need build-essential
command -v python3 >/dev/null || need python3
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
command -v npm >/dev/null || need npm
command -v chromium >/dev/null || command -v google-chrome >/dev/null || need chromium

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing$missing"
        apt-get update --quiet=2
        # shellcheck disable=SC2086 # a list of packages
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $missing >/dev/null
    else
        echo "the tests need$missing: install them (on Debian: apt-get install$missing)" >&2
        exit 1
    fi
fi

# The UI is built by Vite, which needs a Node.js of these days.
node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' || {
    echo "Node.js 20.19 or newer is needed, here is $(node --version)" >&2
    exit 1
}
