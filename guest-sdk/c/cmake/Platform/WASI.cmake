# For versions of CMake that do not know this system: it needs nothing beyond wasm.cmake.
set(CMAKE_EXECUTABLE_SUFFIX .wasm)
