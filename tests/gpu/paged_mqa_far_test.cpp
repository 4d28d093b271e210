// Blocks, rows of the block table and rows of logits beyond 2^32 bytes and elements. Needs about
// 30 GB of device memory.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "gpu/paged_mqa_device.hpp"

namespace jit::test {
namespace {

// Copies rows between packed host memory and the device, where they lie `stride` bytes apart.
class FarRows {
 public:
  FarRows(const DeviceBuffer& buffer, std::size_t row_bytes, std::size_t stride)
      : buffer_(buffer), row_bytes_(row_bytes), stride_(stride) {}

  void upload(std::span<const std::byte> packed) const {
    for (std::size_t at = 0; at < packed.size(); at += row_bytes_) {
      driver().check(driver().api().copy_to_device(address(at), packed.data() + at, row_bytes_),
                     "upload a row", "cuMemcpyHtoD");
    }
  }
  void download(std::span<std::byte> packed) const {
    for (std::size_t at = 0; at < packed.size(); at += row_bytes_) {
      driver().check(driver().api().copy_to_host(packed.data() + at, address(at), row_bytes_),
                     "download a row", "cuMemcpyDtoH");
    }
  }

 private:
  CudaDevicePointer address(std::size_t packed_offset) const {
    return buffer_.address() + packed_offset / row_bytes_ * stride_;
  }
  const DeviceBuffer& buffer_;
  std::size_t row_bytes_;
  std::size_t stride_;
};

PagedMqaCase far_case(DType type) {
  PagedMqaCase paged;
  paged.batch = 11;
  paged.next_n = 3;
  paged.type = type;
  paged.clean = true;
  paged.max_context_len = 300;
  for (std::int64_t row = 0; row < paged.rows(); ++row) {
    paged.lengths.push_back(static_cast<std::int32_t>(300 - row * 7));
  }
  paged.seed = run_seed();
  return paged;
}

TEST_CASE("keys beyond 2^32 bytes are found", "[paged_mqa][far]") {
  const PagedMqaCase paged = far_case(f32);
  const PagedMqaInputs inputs = make_inputs(paged);
  const PagedMqaDevice near(driver(), paged, inputs);
  constexpr std::size_t kStride = (std::size_t{1} << 28) + 16 * 5;
  const auto blocks = static_cast<std::size_t>(inputs.blocks);
  const DeviceBuffer cache(driver(), (blocks - 1) * kStride + 64 * 132);
  REQUIRE(cache.size_bytes() > std::size_t{1} << 33);
  FarRows(cache, 64 * 132, kStride).upload(inputs.cache);
  synchronize(driver());
  kernels::PagedMqaLogitsArgs args = near.args();
  args.kv_cache = cache.as<void>();
  args.block_stride = kStride;
  const StreamOwner stream(driver());
  kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
  stream.synchronize();
  CHECK(judge(paged, inputs, near.download(), 0).wrong == "");
}

TEST_CASE("block ids beyond 4 GiB of packed blocks are found", "[paged_mqa][far]") {
  const PagedMqaCase paged = far_case(f32);
  PagedMqaInputs inputs = make_inputs(paged);
  constexpr std::int32_t kFirst = 600'000;  // 8448 bytes each: 5 GB
  const PagedMqaDevice near(driver(), paged, inputs);
  const DeviceBuffer cache(driver(), (kFirst + static_cast<std::size_t>(inputs.blocks)) * 64 * 132);
  driver().check(driver().api().copy_to_device(cache.address() + std::uint64_t{kFirst} * 64 * 132,
                                               inputs.cache.data(), inputs.cache.size()),
                 "upload the blocks", "cuMemcpyHtoD");
  std::vector<std::int32_t> table = inputs.table;
  for (std::int32_t& entry : table) {
    if (entry >= 0 && entry < inputs.blocks) entry += kFirst;
  }
  const DeviceBuffer far_table = DeviceBuffer::of<std::int32_t>(driver(), table);
  synchronize(driver());
  kernels::PagedMqaLogitsArgs args = near.args();
  args.kv_cache = cache.as<void>();
  args.num_blocks = kFirst + inputs.blocks;
  args.block_table = far_table.as<std::int32_t>();
  const StreamOwner stream(driver());
  kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
  stream.synchronize();
  CHECK(judge(paged, inputs, near.download(), 0).wrong == "");
}

TEST_CASE("rows of logits beyond 2^32 elements are written", "[paged_mqa][far]") {
  for (const DType type : {f32, bf16}) {
    const PagedMqaCase paged = far_case(type);
    const PagedMqaInputs inputs = make_inputs(paged);
    const PagedMqaDevice near(driver(), paged, inputs);
    const std::size_t element = bytes_of(type);
    constexpr std::size_t kStride = (std::size_t{1} << 27) + 3;  // elements
    const auto rows = static_cast<std::size_t>(paged.rows());
    const DeviceBuffer logits(driver(), ((rows - 1) * kStride + 300) * element);
    REQUIRE((rows - 1) * kStride >= std::size_t{1} << 32);
    kernels::PagedMqaLogitsArgs args = near.args();
    args.logits = logits.as<void>();
    args.logits_stride = kStride;
    const StreamOwner stream(driver());
    kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
    stream.synchronize();
    PagedMqaOutcome outcome = near.download();
    FarRows(logits, 300 * element, kStride * element).download(outcome.logits.payload());
    CHECK(judge(paged, inputs, outcome, 0).wrong == "");
  }
}

TEST_CASE("rows of the block table beyond 2^32 bytes are read", "[paged_mqa][far]") {
  const PagedMqaCase paged = far_case(f32);
  const PagedMqaInputs inputs = make_inputs(paged);
  const PagedMqaDevice near(driver(), paged, inputs);
  constexpr std::size_t kStride = (std::size_t{1} << 29) + 1;  // entries
  const auto row_bytes = static_cast<std::size_t>(paged.table_stride()) * 4;
  const DeviceBuffer table(driver(), 10 * kStride * 4 + row_bytes);
  FarRows(table, row_bytes, kStride * 4).upload(std::as_bytes(std::span(inputs.table)));
  synchronize(driver());
  kernels::PagedMqaLogitsArgs args = near.args();
  args.block_table = table.as<std::int32_t>();
  args.block_table_stride = kStride;
  const StreamOwner stream(driver());
  kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
  stream.synchronize();
  CHECK(judge(paged, inputs, near.download(), 0).wrong == "");
}

}  // namespace
}  // namespace jit::test
