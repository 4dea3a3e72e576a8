#!/usr/bin/env bash
# Makes .venv with the pinned dependencies and this project, in place. Run by `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if ! recent .venv/bin/python; then
    for python in python3 python3.14 python3.13 python3.12 python3.11 ""; do
        [ -z "$python" ] || ! recent "$python" || break
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or later is needed (python3, python3.11 … python3.14 were tried)." >&2
        exit 1
    fi
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        # Debian and Ubuntu ship Python without the part that makes environments
        package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            echo "Python cannot make an environment here. On Debian or Ubuntu: sudo apt-get install $package" >&2
            exit 1
        fi
        echo "installing $package"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$package" >/dev/null
        rm -rf .venv
        "$python" -m venv .venv
    fi
fi

echo "installing the dependencies into .venv (some minutes the first time)"
.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt -e ".[dev]"
touch .venv/.installed
