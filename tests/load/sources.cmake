set(CUBINET_TESTS_LOAD
  capture_test.cpp
  cuda_abi_test.cpp
  device_memory_test.cpp
  driver_test.cpp
  exit_test.cpp
  loaded_kernel_test.cpp
)
