set(CUBINET_TESTS_KERNELS
  group_reference_test.cpp
  group_scale_test.cpp
  merge_attn_states_params_test.cpp
  merge_attn_states_refusal_test.cpp
  merge_emulation_test.cpp
  merge_tuning_test.cpp
  reference_test.cpp)
