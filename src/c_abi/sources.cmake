set(CUBINET_SOURCES_C_ABI
    error.cpp
    kernel.cpp
    merge_attn_states.cpp
    request.cpp
    runtime.cpp
    structs.cpp
    warm_up.cpp)
