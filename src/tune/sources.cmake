set(CUBINET_SOURCES_TUNE
    names.cpp
    occupancy.cpp
    space.cpp
    static_stage.cpp)
