#!/usr/bin/env bash
# Fills .venv with exactly what requirements-dev.txt locks, and with this checkout itself.
#
# Run by `make setup`, and so by every other target: when nothing has changed it says nothing and
# takes a moment. It keeps two notes in .venv, each written only after what it tells was done:
#   locked     where this checkout stands, and the lock that was installed
#   installed  the pyproject.toml that the checkout was installed with
# A .venv without a fitting `locked` note is half-made, moved or stale, and is made anew: nothing
# in it is worth saving, and a repaired one could differ from what the lock says.
# Works with the bash 3.2 that macOS ships.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

log=var/setup.log
child=
disk_full="the disk is full: free about 2 GB here or under TMPDIR, then run \`make setup\` again."
mkdir -p var 2>/dev/null || true

say() { printf 'setup: [%3d s] %s\n' "$SECONDS" "$1"; }

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

stop() {
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    fail "stopped; run \`make setup\` again to begin anew."
}
trap stop INT TERM HUP

# One sentence for what went wrong, read from what the failing tool wrote.
explain() {
    if grep -qiE 'no space left|errno 28|disk quota' "$log"; then
        echo "$disk_full"
    elif grep -qiE 'hash mismatch|do not match the hash' "$log"; then
        echo "a downloaded package is not the one that was locked: clear the cache (\`pip cache purge\` or" \
            "\`uv cache clean\`), then run \`make setup\` again."
    elif grep -qiE 'name resolution|failed to resolve|dns error|error sending request|connection (error|refused|reset|broken)|network is unreachable|timed? ?out|max retries|failed to (fetch|download)|from versions: none|proxy' "$log"; then
        echo "the package index cannot be reached: connect to the network, or point pip at a mirror you" \
            "can reach (PIP_INDEX_URL), then run \`make setup\` again."
    elif grep -qiE 'no matching distribution|no solution found|has no wheels|not a supported wheel' "$log"; then
        echo "a locked package has no build for this Python and machine ($(uname -sm)): install Python 3.13" \
            "on Linux or macOS (x86-64 or arm64), then run \`make setup\` again."
    elif grep -qiE 'permission denied|read-only file system' "$log"; then
        echo "this folder cannot be written: give yourself the right to write $PWD, then run \`make setup\` again."
    else
        echo "the step above failed; $log has all it said."
    fi
}

# run SENTENCE COMMAND...: runs the command and shows, meanwhile, what it is at.
run() {
    local sentence=$1 shown=0
    shift
    say "$sentence"
    : >"$log" 2>/dev/null || fail "this folder cannot be written: give yourself the right to write $PWD."
    "$@" >>"$log" 2>&1 &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.1
        if [ $((SECONDS - shown)) -ge "$beat_s" ]; then
            shown=$SECONDS
            beat
        fi
    done
    [ ! -t 1 ] || printf '\r\033[K'
    local code=0
    wait "$child" || code=$?
    child=
    return "$code"
}

beat_s=10
[ ! -t 1 ] || beat_s=1
beat() {
    local latest
    latest=$(grep -v '^WARNING' "$log" | tail -n 1 | tr -d '\r' | cut -c 1-60) || return 0
    if [ -t 1 ]; then
        printf '\r\033[Ksetup: [%3d s]   %s' "$SECONDS" "$latest"
    else
        say "  $latest"
    fi
}

# Whether a candidate is a CPython that the lock has builds for and that can make environments. It is
# run, because a version manager leaves commands on PATH that only say that they are not set up.
fits() {
    "$1" -c 'import ensurepip, sys, venv
fitting = (3, 13) <= sys.version_info[:2] <= (3, 14) and sys.implementation.name == "cpython"
raise SystemExit(not fitting)' >/dev/null 2>&1
}

# 3.13 comes first, as the version the suite is run on.
find_python() {
    local candidate kept=${PYENV_ROOT:-$HOME/.pyenv}/versions
    for candidate in python3.13 "$kept"/3.13*/bin/python python3.14 "$kept"/3.14*/bin/python \
        python3 python; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_environment() {
    local python no_python="no Python 3.13 or 3.14 was found: install one (python3.13 with its venv\
 package, \`pyenv install 3.13\` or \`uv python install 3.13\`), then run \`make setup\` again."
    rm -rf .venv
    if python=$(find_python); then
        run "making .venv with $("$python" --version)" "$python" -m venv .venv || fail "$(explain)"
    elif command -v uv >/dev/null; then
        run "making .venv with a Python 3.13 that uv finds or fetches" \
            uv venv --quiet --seed --python 3.13 .venv || fail "$no_python"
    else
        fail "$no_python"
    fi
}

install_locked() {
    local count
    count=$(grep -c '^[a-zA-Z0-9]' requirements-dev.txt)
    if command -v uv >/dev/null &&
        run "installing the locked packages (up to $count) with uv" \
            uv pip install --python .venv/bin/python --require-hashes -r requirements-dev.txt; then
        return
    fi
    run "installing the locked packages (up to $count) with pip" \
        .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --require-hashes -r requirements-dev.txt || fail "$(explain)"
}

install_checkout() {
    run "installing this checkout" \
        .venv/bin/python -m pip install --disable-pip-version-check --no-input --quiet \
        --no-deps --no-build-isolation --editable . || fail "$(explain)"
}

lock_note() { pwd -P && cat requirements-dev.txt; }
is_locked() { .venv/bin/python -c '' 2>/dev/null && lock_note | cmp -s - .venv/locked; }
is_installed() { cmp -s pyproject.toml .venv/installed; }

# Two set-ups at once (two terminals) take turns where the machine has flock.
if command -v flock >/dev/null && exec 9>var/setup.lock; then
    flock 9
fi
if is_locked && is_installed; then
    exit 0
fi
if ! is_locked; then
    make_environment
    install_locked
    lock_note >.venv/locked || fail "$disk_full"
fi
install_checkout
cp pyproject.toml .venv/installed || fail "$disk_full"
say "done"
