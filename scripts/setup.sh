#!/bin/sh
# Installs what a build needs and this machine lacks: a C compiler (for SQLite and zstd), curl, python3 (Debian's
# packages, as root or with sudo) and parts of the Rust toolchain (by rustup). `setup.sh test` wants clippy and rustfmt too.
set -eu

RUST_MINOR_MIN=95

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

missing=
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v curl >/dev/null 2>&1 || missing="$missing curl ca-certificates"
python3 -c 'import sqlite3, urllib.request' >/dev/null 2>&1 || missing="$missing python3"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 || fail "these are missing and this is no Debian, so install them yourself:$missing"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "run this as root: apt-get install$missing"
        as_root=sudo
    fi
    say "installing$missing"
    $as_root apt-get update -qq </dev/null
    # shellcheck disable=SC2086 # a list of packages
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >&2
fi

command -v cargo >/dev/null 2>&1 || fail "there is no cargo: install Rust by rustup, as https://rustup.rs says, and open a new shell"
version=$(rustc --version | cut -d' ' -f2)
minor=$(printf '%s' "$version" | cut -d. -f2)
case $version in
    1.*) [ "$minor" -ge "$RUST_MINOR_MIN" ] || fail "Rust $version is too old, 1.$RUST_MINOR_MIN is needed: rustup update stable" ;;
esac

[ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2" ] || {
    command -v rustup >/dev/null 2>&1 || fail "Rust's target wasm32-wasip2 is missing, and there is no rustup to add it"
    say "adding Rust's target wasm32-wasip2"
    rustup target add wasm32-wasip2 </dev/null >&2
}

if [ "${1:-}" = test ]; then
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy </dev/null >&2
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt </dev/null >&2
fi
