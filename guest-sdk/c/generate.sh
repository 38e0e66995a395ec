#!/bin/sh
# Writes bindings/ anew from wit/, which is only needed when the contract changes.
# cargo install wit-bindgen-cli --version 0.63.0 --locked --no-default-features --features c
set -eu
cd "$(dirname "$0")"
command -v wit-bindgen >/dev/null || { echo "generate.sh: wit-bindgen is not there; see the head of this file" >&2; exit 1; }
wit-bindgen c ../../wit --world plugin --out-dir bindings
