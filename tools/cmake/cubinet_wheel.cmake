# The library that goes into the Python wheel: the same objects behind the C interface alone. No
# exception leaves it, so that it has a C++ runtime of its own, and none of the process's (which may
# be an older one) can stand in its way.

add_library(cubinet_wheel SHARED EXCLUDE_FROM_ALL $<TARGET_OBJECTS:cubinet_layers>
                                                  $<TARGET_OBJECTS:cubinet_foundation>)
target_link_libraries(cubinet_wheel PRIVATE cubinet_dependencies)
target_link_options(cubinet_wheel PRIVATE -static-libstdc++ -static-libgcc)
cubinet_limit_exports(cubinet_wheel "${PROJECT_SOURCE_DIR}/tools/cmake/exports_c.map")
set_target_properties(
  cubinet_wheel
  PROPERTIES OUTPUT_NAME cubinet
             LINKER_LANGUAGE CXX
             LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/wheel"
             BUILD_RPATH "$ORIGIN"
             BUILD_WITH_INSTALL_RPATH ON
             INSTALL_RPATH "$ORIGIN")
