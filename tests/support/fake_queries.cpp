// What a program in another language asks the fake driver.
#include <algorithm>
#include <cstring>

#include "support/fake_state.hpp"

using jit::testing::FakeState;

extern "C" {

// The newest launch. The strings and bytes of it are copied as far as there is room.
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

__attribute__((visibility("default"))) void fake_cuda_last_launch(FakeLaunchRow* row) {
  const auto launches = FakeState::get().launches();
  *row = {};
  if (launches.empty()) return;
  const jit::testing::FakeLaunch& last = launches.back();
  last.symbol.copy(row->symbol, sizeof row->symbol - 1);
  row->params_bytes = last.params.size();
  std::memcpy(row->params, last.params.data(), std::min(last.params.size(), sizeof row->params));
  row->stream = last.stream;
  const auto set = [](std::uint32_t* to, const jit::Dim3& from) {
    to[0] = from.x;
    to[1] = from.y;
    to[2] = from.z;
  };
  set(row->grid, last.grid);
  set(row->block, last.block);
  set(row->cluster, last.cluster);
  row->smem_bytes = last.smem_bytes;
  row->programmatic = last.programmatic ? 1 : 0;
  row->device = last.device;
}
}
