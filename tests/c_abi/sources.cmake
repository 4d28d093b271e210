set(CUBINET_TESTS_C_ABI
  boundary_test.cpp
  kernel_test.cpp
  merge_attn_states_test.cpp
  runtime_test.cpp
  structs_test.cpp
  tensor_map_test.cpp
  warm_up_test.cpp)
