set(CUBINET_SOURCES_RENDER standalone.cpp unit.cpp)
