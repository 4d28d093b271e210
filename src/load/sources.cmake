set(CUBINET_SOURCES_LOAD
  device_memory.cpp
  driver.cpp
  graph.cpp
  kernel.cpp
  load_kernel.cpp
  loaded_kernel.cpp
)
