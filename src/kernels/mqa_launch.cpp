#include "kernels/mqa_launch.hpp"

namespace jit::inline v1::kernels {
namespace {

Swizzle swizzle_of(std::int64_t row_bytes) {
  if (row_bytes == 32) return Swizzle::k32Bytes;
  return row_bytes == 64 ? Swizzle::k64Bytes : Swizzle::k128Bytes;
}

}  // namespace

TensorMapSpec rows_spec(const void* address, std::int64_t row_bytes, std::int64_t rows,
                        std::int64_t box_rows) {
  TensorMapSpec spec;
  spec.rank = 2;
  spec.address = address;
  spec.sizes = {static_cast<std::uint64_t>(row_bytes), static_cast<std::uint64_t>(rows)};
  spec.strides = {static_cast<std::uint64_t>(row_bytes)};
  spec.box = {static_cast<std::uint32_t>(row_bytes), static_cast<std::uint32_t>(box_rows)};
  spec.swizzle = swizzle_of(row_bytes);
  return spec;
}

LaunchConfig mqa_launch_config(const KernelInfo& info, int computed_tokens, std::int64_t workers) {
  const auto constant = [&info](std::string_view name) {
    return static_cast<int>(info.constant(name).as_int());
  };
  // One warpgroup loads, each of the others has stages of its own.
  const int threads = constant("kNumThreads");
  const int key_stages = (threads / 128 - 1) * constant("kNumStages");
  const cubinet::mqa::Tile tile{computed_tokens, constant("kNumHeads"), constant("kHeadDim"),
                                key_stages, constant("kNumQueryStages")};
  LaunchConfig launch;
  launch.grid = static_cast<std::uint32_t>(workers);
  launch.block = static_cast<std::uint32_t>(threads);
  launch.smem_bytes = static_cast<std::uint32_t>(cubinet::mqa::smem_bytes_of(tile));
  return launch;
}

}  // namespace jit::inline v1::kernels
