set(CUBINET_SOURCES_TUNE
    halving.cpp
    names.cpp
    occupancy.cpp
    space.cpp
    static_stage.cpp)
