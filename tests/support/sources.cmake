# The fake driver is one shared library; what tests steer it with is linked into them.
set(CUBINET_FAKE_CUDA
  fake_driver.cpp
  fake_driver_memory.cpp
  fake_image.cpp
  fake_nvml.cpp
  fake_queries.cpp
  fake_state.cpp
  fake_tensor_map.cpp
)
set(CUBINET_TESTS_SUPPORT
  fake_client.cpp
  paths.cpp
)
# A library of its own, which NVTX loads.
set(CUBINET_NVTX_TOOL
  nvtx_tool.cpp
)
# A library of its own, preloaded.
set(CUBINET_FAKE_FILE_SYSTEM
  fake_file_system.cpp
)
