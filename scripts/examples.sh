#!/bin/sh
# The example operators of all languages: `examples.sh build` makes their components, build/NAME.wasm in each folder, by
# `millstream plugin build`; `examples.sh test` runs the unit tests of the kits and examples, without WebAssembly; `examples.sh test build`
# does both. What is missing is installed first.
set -eu
cd "$(dirname "$0")/.."

tools=${MILLSTREAM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/millstream/tools}
millstream=${CARGO_TARGET_DIR:-target}/release/millstream

scripts/toolchains.sh
export PATH="$tools/python/bin:$PATH"

# Runs a test in a folder and prints what it said if it fails, else its last line.
try() {
    folder=$1
    shift
    said=$(mktemp)
    if (cd "$folder" && "$@") >"$said" 2>&1; then
        printf 'ok      %s: %s\n' "$folder" "$*"
        rm -f "$said"
    else
        cat "$said"
        rm -f "$said"
        printf 'FAILED  %s: %s\n' "$folder" "$*"
        exit 1
    fi
}

for what in "${@:-build}"; do
    case $what in
        build)
            for language in rust python typescript go c cpp zig; do
                "$millstream" plugin build "plugins/examples/$language"
            done
            ;;
        test)
            for folder in guest-sdk/python plugins/examples/python; do
                try "$folder" python3 -m unittest discover -s tests
                try "$folder" ruff check
            done
            try guest-sdk/python mypy
            try guest-sdk/python python3 tests/wheel.py
            for folder in guest-sdk/typescript plugins/examples/typescript; do
                try "$folder" npm test --silent
            done
            for folder in guest-sdk/go plugins/examples/go; do
                try "$folder" go vet ./...
                try "$folder" go test ./...
            done
            for folder in guest-sdk/c plugins/examples/c plugins/examples/cpp plugins/examples/zig; do
                try "$folder" make test
            done
            try guest-sdk/c make test-cmake
            ;;
        *)
            echo "examples.sh: build or test" >&2
            exit 2
            ;;
    esac
done
