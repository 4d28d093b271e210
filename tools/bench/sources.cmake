set(CUBINET_SOURCES_BENCH device_timer.cpp merge_attn_states.cpp report.cpp restart.cpp
                          runtime_speed.cpp)
