set(CUBINET_TESTS_TUNE
    occupancy_test.cpp
    space_test.cpp
    static_stage_test.cpp)
