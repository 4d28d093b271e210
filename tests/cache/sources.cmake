# Paths are relative to tests/cache.
set(CUBINET_TESTS_CACHE
  cache_fixture.cpp
  crash_test.cpp
  damage_test.cpp
  directory_test.cpp
  entry_test.cpp
  eviction_test.cpp
  eviction_torture_test.cpp
  fault_injection.cpp
  fault_test.cpp
  inspection_test.cpp
  layout_test.cpp
  mount_namespace.cpp
  single_flight_process_test.cpp
  single_flight_test.cpp
  touch_test.cpp
  trust_test.cpp)
