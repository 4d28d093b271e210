set(CUBINET_TESTS_TUNE
    halving_test.cpp
    occupancy_test.cpp
    shipped_records_test.cpp
    space_test.cpp
    static_stage_test.cpp
    tuned_resolve_test.cpp
    tuning_table_test.cpp)
