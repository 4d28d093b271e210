# NVTX ranges, where the headers of NVTX 3 are found: those of a CUDA toolkit, or of any other place that
# CUBINET_NVTX_INCLUDE_DIR names. Nothing is linked, and nothing is needed at run time: a profiler
# brings its own library and names it in NVTX_INJECTION64_PATH.

option(CUBINET_NVTX "NVTX ranges, where the headers are found" ON)
find_path(CUBINET_NVTX_INCLUDE_DIR nvtx3/nvToolsExt.h PATHS "$ENV{CUDA_HOME}" "$ENV{CUDA_PATH}"
                                                            /usr/local/cuda PATH_SUFFIXES include)
set(cubinet_HAVE_NVTX OFF)
if(CUBINET_NVTX AND CUBINET_NVTX_INCLUDE_DIR)
  set(cubinet_HAVE_NVTX ON)
  # Of this file alone, so that all others are compiled the same everywhere.
  set_source_files_properties(
    src/base/nvtx.cpp PROPERTIES COMPILE_DEFINITIONS CUBINET_HAVE_NVTX COMPILE_OPTIONS
                                 "-isystem${CUBINET_NVTX_INCLUDE_DIR}")
  message(STATUS "NVTX ranges: yes, with ${CUBINET_NVTX_INCLUDE_DIR}/nvtx3")
else()
  message(STATUS "NVTX ranges: no (CUBINET_NVTX_INCLUDE_DIR names the folder of nvtx3)")
endif()
