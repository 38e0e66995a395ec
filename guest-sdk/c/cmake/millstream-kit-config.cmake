# An installed kit: the target millstream::kit and the functions millstream_plugin and millstream_test.
include(${CMAKE_CURRENT_LIST_DIR}/millstream-kit-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/functions.cmake)
