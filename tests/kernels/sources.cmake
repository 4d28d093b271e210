# Cases and their verdicts are those of the GPU tests.
set(CUBINET_TESTS_KERNELS
  group_reference_test.cpp
  group_scale_test.cpp
  merge_attn_states_params_test.cpp
  merge_attn_states_refusal_test.cpp
  merge_emulation_test.cpp
  reference_test.cpp
  ../gpu/gpu.cpp
  ../gpu/guarded_buffer.cpp
  ../gpu/merge_case.cpp
  ../gpu/merge_group_plan.cpp
  ../gpu/merge_inputs.cpp)
