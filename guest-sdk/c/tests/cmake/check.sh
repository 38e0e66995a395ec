#!/bin/sh
# Builds a plugin and its tests by CMake, with the kit as a folder and as an installed package: `make test-cmake`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kit=$here/../..
out=$kit/build/cmake
rm -rf "$out"

build() { # FOLDER ARGUMENTS…
    folder=$out/$1
    shift
    cmake -S "$here" -B "$folder" -DCMAKE_BUILD_TYPE=Release "$@"
    cmake --build "$folder"
}

install_kit() { # FOLDER ARGUMENTS…
    folder=$out/$1
    shift
    cmake -S "$kit" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$folder/kit" "$@"
    cmake --build "$folder/build"
    cmake --install "$folder/build"
}

is_plugin() { # A core module that exports an operator and carries the component's type.
    for words in 'millstream:plugin/transform@0.1.0#process' 'component-type:plugin'; do
        grep -qF "$words" "$1" || { echo "$1 has no $words" >&2; exit 1; }
    done
}

build native
ctest --test-dir "$out/native" --output-on-failure --no-tests=error
build wasm -DCMAKE_TOOLCHAIN_FILE="$kit/wasm.cmake"
is_plugin "$out/wasm/examples-cpp.core.wasm"

install_kit of-native
build native-installed -DINSTALLED=ON -DCMAKE_PREFIX_PATH="$out/of-native/kit"
ctest --test-dir "$out/native-installed" --output-on-failure --no-tests=error
install_kit of-wasm -DCMAKE_TOOLCHAIN_FILE="$kit/wasm.cmake"
package=$out/of-wasm/kit/lib/cmake/millstream-kit
build wasm-installed -DINSTALLED=ON -DCMAKE_PREFIX_PATH="$out/of-wasm/kit" -DCMAKE_TOOLCHAIN_FILE="$package/wasm.cmake"
is_plugin "$out/wasm-installed/examples-cpp.core.wasm"
echo "CMake builds plugins and their tests"
