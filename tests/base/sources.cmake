# Paths are relative to tests/base.
set(CUBINET_TESTS_BASE
  digest_test.cpp
  environment_test.cpp
  file_test.cpp
  hex_test.cpp
  histogram_test.cpp
  log_test.cpp
  quantity_test.cpp)
