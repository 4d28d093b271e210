set(CUBINET_SOURCES_KERNELS
    merge_attn_states.cpp
    merge_attn_states_tuning.cpp
    random_pool.cpp
    reference/element.cpp
    reference/merge_attn_states.cpp
    tuning_problems.cpp)
