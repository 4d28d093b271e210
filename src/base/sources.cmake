# Paths are relative to src/base.
set(CUBINET_SOURCES_BASE
  digest.cpp
  error.cpp
  environment.cpp
  file.cpp
  file_descriptor.cpp
  hex.cpp
  log.cpp
  nvtx.cpp
  quantity.cpp
  span.cpp)
