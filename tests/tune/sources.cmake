set(CUBINET_TESTS_TUNE
    space_test.cpp)
