# Paths are relative to src/cache.
set(CUBINET_SOURCES_CACHE
  directory.cpp
  entry_decode.cpp
  entry_encode.cpp
  entry_file.cpp
  eviction.cpp
  eviction_scan.cpp
  free_space.cpp
  inspection.cpp
  layout.cpp
  location.cpp
  lock_place.cpp
  publish.cpp
  quarantine.cpp
  single_flight.cpp
  trusted_directory.cpp)
