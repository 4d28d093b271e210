set(CUBINET_TESTS_RENDER
    golden_test.cpp
    standalone_test.cpp
    unit_key_test.cpp
    unit_test.cpp)
