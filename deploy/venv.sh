#!/usr/bin/env bash
# Makes the project's own virtual environment from requirements.lock. Usage: deploy/venv.sh DIR
set -euo pipefail
dir=${1:?usage: deploy/venv.sh DIR}

find_python() {
    for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3; do
        [ -n "$name" ] || continue
        if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "jingluo needs Python 3.11 or newer; none was found. On Debian 12: apt-get install python3 python3-venv" >&2
    return 1
}

python=$(find_python)
# Debian splits venv's ensurepip into a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv module is missing. On Debian 12: apt-get install python3-venv" >&2
        exit 1
    fi
fi

[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
echo "installing the locked dependencies into $dir (once) ..."
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
