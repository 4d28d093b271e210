set(CUBINET_TESTS_COMPILE
  compiler_test.cpp
  cubin_check_test.cpp
  determinism_test.cpp
  log_parser_test.cpp
  reproduction_test.cpp
  toolchain_test.cpp
)
