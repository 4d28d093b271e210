set(CUBINET_SOURCES_KERNELS
    merge_attn_states.cpp
    reference/element.cpp
    reference/merge_attn_states.cpp
    tuning_problems.cpp)
