# What a project with a plugin calls. Each makes its target for one of the two systems and does nothing for the other.

# NAME.core.wasm of sources, which `millstream plugin build` or any encoder of components makes a component of.
function(millstream_plugin name)
  if(CMAKE_SYSTEM_NAME STREQUAL WASI)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE millstream::kit)
    set_target_properties(${name} PROPERTIES SUFFIX .core.wasm)
  endif()
endfunction()

# A test for ctest, of tests and operators.
function(millstream_test name)
  if(NOT CMAKE_SYSTEM_NAME STREQUAL WASI)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE millstream::kit m)
    target_compile_options(${name} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all)
    target_link_options(${name} PRIVATE -fsanitize=address,undefined)
    add_test(NAME ${name} COMMAND ${name})
  endif()
endfunction()
