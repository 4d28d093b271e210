set(CUBINET_TESTS_KERNELS
  reference_test.cpp
  merge_attn_states_params_test.cpp
  merge_attn_states_refusal_test.cpp)
