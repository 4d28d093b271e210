# How the project's own targets are compiled: warnings, sanitizers, portability, output folders.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
  set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
endif()

# Strict warnings; errors only in the project's own builds, so that a newer compiler breaks nobody
# who merely uses the library.
add_library(cubinet_warnings INTERFACE)
target_compile_options(
  cubinet_warnings
  INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
            -Wnon-virtual-dtor -Woverloaded-virtual $<$<BOOL:${PROJECT_IS_TOP_LEVEL}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms on std::string at -O3. Source: GCC bug 105329, mended in GCC 13.
  target_compile_options(cubinet_warnings INTERFACE -Wno-restrict)
endif()

if(CUBINET_SANITIZE)
  set(CUBINET_SANITIZE_FLAGS -fsanitize=${CUBINET_SANITIZE} -fno-sanitize-recover=all
                             -fno-omit-frame-pointer)
  add_compile_options(${CUBINET_SANITIZE_FLAGS})
  add_link_options(${CUBINET_SANITIZE_FLAGS})
endif()

if(CUBINET_PORTABLE)
  # Programs alone: an exception that leaves a shared library is unwound by one libgcc and caught by
  # one libstdc++, those of the program.
  add_link_options(
    "$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-static-libstdc++;-static-libgcc>")
endif()

# What every target that sees the project's inside shares.
function(cubinet_internal_target target)
  target_include_directories(
    ${target} PUBLIC "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include"
                     "${PROJECT_SOURCE_DIR}/kernel_templates")
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC cubinet_dependencies cubinet_warnings)
endfunction()

# Leaves only the symbols that the version script names: the standard library's own templates and
# statically linked dependencies are visible by default and would otherwise leak. And the library
# stays where it is when a program closes it: its threads run in it, and kernels stay valid.
function(cubinet_limit_exports target map)
  target_link_options(${target} PRIVATE "LINKER:--version-script=${map}" LINKER:-z,nodelete)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${map}")
  if(NOT CUBINET_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:--no-undefined)
  endif()
endfunction()
