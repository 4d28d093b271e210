// Operands and outputs of mla_prefill beyond 2^32 bytes and elements. Needs about 30 GB of device
// memory.
#include <catch2/catch_test_macros.hpp>

#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "gpu/replay.hpp"

namespace jit::test {
namespace {

constexpr std::size_t kTokens = 260;
constexpr std::size_t kStride = (std::size_t{1} << 24) + 64;  // elements between tokens

MlaCase far_case() {
  MlaCase mla;
  mla.query_lengths = {3, kTokens - 3};
  mla.heads = mla.kv_heads = 2;
  mla.seed = run_seed();
  return mla;
}

DeviceBuffer far_buffer(std::size_t element_bytes, std::size_t token_elements) {
  return DeviceBuffer(driver(), ((kTokens - 1) * kStride + token_elements) * element_bytes);
}

void check_far(const MlaCase& mla, const MlaInputs& inputs, const MlaOutcome& outcome) {
  MlaJudging judging;
  judging.threads = 0;
  CHECK(judge(mla, inputs, outcome, judging).wrong == "");
}

void launch_and_wait(const kernels::MlaPrefillArgs& args) {
  const StreamOwner stream(driver());
  kernels::mla_prefill(mla_runtime(), args, stream.get());
  stream.synchronize();
}

TEST_CASE("queries, keys and values beyond 2^32 elements are found", "[mla_prefill][far]") {
  const MlaCase mla = far_case();
  const MlaInputs inputs = make_inputs(mla);
  const MlaDevice near(driver(), mla, inputs);
  for (const char operand : {'q', 'k', 'v'}) {
    const std::vector<std::uint16_t>& packed =
        operand == 'q' ? inputs.q : (operand == 'k' ? inputs.k : inputs.v);
    const std::size_t token = packed.size() / kTokens;
    const DeviceBuffer far = far_buffer(2, token);
    REQUIRE(kTokens * kStride > std::size_t{1} << 32);
    FarTokens(far, token * 2, kStride * 2).upload(std::as_bytes(std::span(packed)));
    synchronize(driver());
    kernels::MlaPrefillArgs args = near.args();
    (operand == 'q' ? args.q : (operand == 'k' ? args.k : args.v)) = far.as<void>();
    (operand == 'q'   ? args.q_token_stride
     : operand == 'k' ? args.k_token_stride
                      : args.v_token_stride) = kStride;
    launch_and_wait(args);
    CAPTURE(operand);
    check_far(mla, inputs, near.download());
  }
}

TEST_CASE("outputs beyond 2^32 elements are written", "[mla_prefill][far]") {
  for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.1F}}) {
    MlaCase mla = far_case();
    mla.scale = scale;
    const MlaInputs inputs = make_inputs(mla);
    const MlaDevice near(driver(), mla, inputs);
    const std::size_t element = bytes_of(mla.output_type());
    const DeviceBuffer far = far_buffer(element, 256);
    kernels::MlaPrefillArgs args = near.args();
    args.output = far.as<void>();
    args.output_token_stride = kStride;
    launch_and_wait(args);
    MlaOutcome outcome = near.download();
    FarTokens(far, 256 * element, kStride * element).download(outcome.output.payload());
    check_far(mla, inputs, outcome);
  }
}

TEST_CASE("scales of groups beyond 2^32 elements are written", "[mla_prefill][far]") {
  MlaCase mla = far_case();
  mla.group = 64;
  const MlaInputs inputs = make_inputs(mla);
  const MlaDevice near(driver(), mla, inputs);
  const DeviceBuffer far = far_buffer(4, 4);
  kernels::MlaPrefillArgs args = near.args();
  args.output_group_scales = far.as<float>();
  args.output_scale_token_stride = kStride;
  args.output_scale_group_stride = 1;
  launch_and_wait(args);
  MlaOutcome outcome = near.download();
  FarTokens(far, 16, kStride * 4).download(outcome.scales.payload());
  check_far(mla, inputs, outcome);
}

}  // namespace
}  // namespace jit::test
