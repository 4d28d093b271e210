// What a program in another language asks the fake driver.
#include <algorithm>
#include <cstring>

#include "support/fake_state.hpp"

using jit::testing::FakeState;

extern "C" {

// One launch. The strings and bytes of it are copied as far as there is room.
struct FakeLaunchRow {
  char symbol[160];
  unsigned char params[1024];
  std::uint64_t params_bytes;
  void* stream;
  std::uint32_t grid[3];
  std::uint32_t block[3];
  std::uint32_t cluster[3];
  std::uint32_t smem_bytes;
  std::int32_t programmatic;
  std::int32_t device;
};

__attribute__((visibility("default"))) std::size_t fake_cuda_launch_count() {
  return FakeState::get().launches().size();
}

__attribute__((visibility("default"))) int fake_cuda_calls(const char* call) {
  return FakeState::get().calls(call);
}

// The launch at `index`, the oldest first; zeros where there is none.
__attribute__((visibility("default"))) void fake_cuda_launch(std::size_t index,
                                                             FakeLaunchRow* row) {
  const auto launches = FakeState::get().launches();
  *row = {};
  if (index >= launches.size()) return;
  const jit::testing::FakeLaunch& launch = launches[index];
  launch.symbol.copy(row->symbol, sizeof row->symbol - 1);
  row->params_bytes = launch.params.size();
  std::memcpy(row->params, launch.params.data(),
              std::min(launch.params.size(), sizeof row->params));
  row->stream = launch.stream;
  const auto set = [](std::uint32_t* to, const jit::Dim3& from) {
    to[0] = from.x;
    to[1] = from.y;
    to[2] = from.z;
  };
  set(row->grid, launch.grid);
  set(row->block, launch.block);
  set(row->cluster, launch.cluster);
  row->smem_bytes = launch.smem_bytes;
  row->programmatic = launch.programmatic ? 1 : 0;
  row->device = launch.device;
}
}
