// Rows whose offset passes 2^32 elements. Needs about 20 GB of device memory.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"

namespace jit::test {
namespace {

constexpr std::uint64_t kStride = (std::uint64_t{1} << 27) + 8;
constexpr std::uint32_t kHeadSize = 128;
constexpr std::uint64_t kSuffixOffset = 4096;  // elements: both inputs lie in one buffer's rows

MergeCase far_case(std::optional<float> scale) {
  MergeCase merge;
  merge.scale = scale;
  merge.tokens = 5;
  merge.heads = 7;
  merge.head_size = merge.input_stride = merge.output_stride = kHeadSize;
  merge.pattern = LsePattern::kEmpty;
  merge.seed = run_seed();
  return merge;
}

// Copies rows of `row_bytes` between packed host memory and the device, `stride_bytes` apart there.
class FarRows {
 public:
  FarRows(Driver& driver, const DeviceBuffer& buffer, std::size_t row_bytes,
          std::size_t stride_bytes)
      : driver_(driver), buffer_(buffer), row_bytes_(row_bytes), stride_bytes_(stride_bytes) {}

  void upload(std::span<const std::byte> packed, std::size_t offset_bytes) const {
    for (std::size_t row = 0; row * row_bytes_ < packed.size(); ++row) {
      driver_.check(driver_.api().copy_to_device(address(row) + offset_bytes,
                                                 packed.data() + row * row_bytes_, row_bytes_),
                    "upload a row", "cuMemcpyHtoD");
    }
  }
  void download(std::span<std::byte> packed) const {
    for (std::size_t row = 0; row * row_bytes_ < packed.size(); ++row) {
      driver_.check(
          driver_.api().copy_to_host(packed.data() + row * row_bytes_, address(row), row_bytes_),
          "download a row", "cuMemcpyDtoH");
    }
  }

 private:
  CudaDevicePointer address(std::size_t row) const {
    return buffer_.address() + row * stride_bytes_;
  }

  Driver& driver_;
  const DeviceBuffer& buffer_;
  std::size_t row_bytes_;
  std::size_t stride_bytes_;
};

void check_far(Runtime& runtime, std::optional<float> scale) {
  Driver& gpu = driver();
  const MergeCase merge = far_case(scale);
  const MergeInputs inputs = make_inputs(merge);
  const std::size_t out = merge.fp8() ? 1 : 2;
  const std::uint64_t last = (merge.rows() - 1) * kStride;
  REQUIRE(last > std::uint64_t{1} << 32);
  DeviceBuffer both(gpu, (last + kSuffixOffset + kHeadSize) * 2);
  DeviceBuffer output(gpu, (last + kHeadSize) * out);
  // Operands and guards of ordinary size: the LSEs, and the image of a result.
  const MergeDevice near(gpu, merge, inputs);
  const FarRows in_rows(gpu, both, kHeadSize * 2, kStride * 2);
  in_rows.upload(inputs.prefix, 0);
  in_rows.upload(inputs.suffix, kSuffixOffset * 2);
  const StreamOwner stream(gpu);
  output.fill_async(0xFF, stream.get());
  synchronize(gpu);

  kernels::MergeAttnStatesArgs args = near.args();
  args.prefix_output = both.as<void>();
  args.suffix_output = both.as<std::uint16_t>() + kSuffixOffset;
  args.output = output.as<void>();
  args.input_head_stride = args.output_head_stride = static_cast<std::int64_t>(kStride);
  kernels::merge_attn_states(runtime, args, stream.get());
  stream.synchronize();
  MergeOutcome outcome = near.download();
  FarRows(gpu, output, kHeadSize * out, kStride * out).download(outcome.output.payload());
  CAPTURE(merge.text());
  CHECK(judge(merge, inputs, outcome).wrong == "");
}

// Scales `token_stride` and `group_stride` apart on the device, packed by rows on the host.
void check_far_scales(Runtime& runtime, std::uint64_t token_stride, std::uint64_t group_stride) {
  Driver& gpu = driver();
  MergeCase merge = far_case(std::nullopt);
  merge.heads = 5;
  merge.group = kHeadSize;
  const MergeInputs inputs = make_inputs(merge);
  const std::uint64_t last = 4 * token_stride + 4 * group_stride;
  REQUIRE(last > std::uint64_t{1} << 32);
  const DeviceBuffer scales(gpu, (last + 1) * sizeof(float));
  const MergeDevice near(gpu, merge, inputs);
  kernels::MergeAttnStatesArgs args = near.args();
  args.output_group_scales = scales.as<float>();
  args.output_scale_token_stride = static_cast<std::int64_t>(token_stride);
  args.output_scale_group_stride = static_cast<std::int64_t>(group_stride);
  const StreamOwner stream(gpu);
  kernels::merge_attn_states(runtime, args, stream.get());
  stream.synchronize();
  MergeOutcome outcome = near.download();
  for (std::uint64_t i = 0; i < merge.rows(); ++i) {
    const std::uint64_t place = i / merge.heads * token_stride + i % merge.heads * group_stride;
    gpu.check(gpu.api().copy_to_host(outcome.scales.payload().data() + i * sizeof(float),
                                     scales.address() + place * sizeof(float), sizeof(float)),
              "download a scale", "cuMemcpyDtoH");
  }
  CAPTURE(merge.text(), token_stride, group_stride);
  CHECK(judge(merge, inputs, outcome).wrong == "");
}

TEST_CASE("scales beyond 2^32 elements are right", "[merge][groups][far]") {
  driver();
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  constexpr std::uint64_t kFar = (std::uint64_t{1} << 30) + 3;
  check_far_scales(runtime, kFar, 1);
  check_far_scales(runtime, 1, kFar);
}

TEST_CASE("offsets beyond 2^32 elements are right", "[merge][far]") {
  driver();
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  check_far(runtime, std::nullopt);
  check_far(runtime, 0.1F);
}

}  // namespace
}  // namespace jit::test
