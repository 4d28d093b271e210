set(CUBINET_SOURCES_TUNE
    names.cpp
    space.cpp)
