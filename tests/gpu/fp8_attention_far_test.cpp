// Long sequences, and operands of fp8_attention beyond 2^32 bytes and elements. Needs about 10 GB
// of device memory.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "gpu/replay.hpp"

namespace jit::test {
namespace {

// ---- Long ----

void check_long(const Fp8Case& fp8) {
  const Fp8Inputs inputs = make_inputs(fp8);
  Fp8Judging judging;
  judging.threads = 0;
  judging.sample = 300;
  const Fp8Verdict verdict = judge(fp8, inputs, run_fp8(fp8, inputs), judging);
  CAPTURE(fp8.text());
  CHECK(verdict.wrong == "");
  fmt::print("  {}\n    {}\n", fp8.text(), verdict.check.text());
}

TEST_CASE("a sequence of 131,072 tokens is right", "[fp8_attention][long]") {
  std::vector<Fp8Case> cases;
  for (const std::int64_t dim : {128, 256}) {
    Fp8Case& fp8 = cases.emplace_back();
    fp8.query_lengths = {131'072};
    fp8.heads = dim == 128 ? 8 : 4;
    fp8.head_dim = dim;
    fp8.head_dim_v = dim;
    fp8.counters = true;
    fp8.seed = run_seed();
    Fp8Case decode = fp8;
    decode.query_lengths = {4};
    decode.key_lengths = {131'072};
    for (const std::int64_t splits : {0, 1, 7}) {
      decode.num_splits = splits;
      cases.push_back(decode);
    }
  }
  warm_up(cases);
  for (const Fp8Case& fp8 : cases) check_long(fp8);
}

// ---- Far ----

constexpr std::size_t kPlaces = 260;                          // pages or tokens
constexpr std::size_t kStride = (std::size_t{1} << 24) + 64;  // elements between them

DeviceBuffer far_buffer(std::size_t place_bytes, std::size_t element_bytes = 1) {
  return DeviceBuffer(driver(), (kPlaces - 1) * kStride * element_bytes + place_bytes);
}

void check_far(const Fp8Case& fp8, const Fp8Inputs& inputs, const Fp8Outcome& outcome) {
  Fp8Judging judging;
  judging.threads = 0;
  CAPTURE(fp8.text());
  CHECK(judge(fp8, inputs, outcome, judging).wrong == "");
}

void launch_and_wait(const kernels::Fp8AttentionArgs& args) {
  const StreamOwner stream(driver());
  kernels::fp8_attention(fp8_runtime(), args, stream.get());
  stream.synchronize();
}

TEST_CASE("pages of keys and values beyond 2^32 bytes are found", "[fp8_attention][far]") {
  Fp8Case fp8;
  fp8.query_lengths = {1, 9};
  fp8.key_lengths = {3000, 1100};  // 188 and 69 pages; three are spare
  fp8.page_size = 16;
  fp8.seed = run_seed();
  const Fp8Inputs inputs = make_inputs(fp8);
  REQUIRE(fp8.num_pages() == std::int64_t{kPlaces});
  const Fp8Device near(driver(), fp8, inputs);
  const std::size_t page = inputs.k.size() / kPlaces;
  const DeviceBuffer far_k = far_buffer(page);
  const DeviceBuffer far_v = far_buffer(page);
  FarTokens(far_k, page, kStride).upload(std::as_bytes(std::span(inputs.k)));
  FarTokens(far_v, page, kStride).upload(std::as_bytes(std::span(inputs.v)));
  synchronize(driver());
  kernels::Fp8AttentionArgs args = near.args();
  args.k = far_k.as<void>();
  args.v = far_v.as<void>();
  args.k_page_stride = kStride;
  args.v_page_stride = kStride;
  launch_and_wait(args);
  check_far(fp8, inputs, near.download());
}

Fp8Case far_case() {
  Fp8Case fp8;
  fp8.query_lengths = {3, kPlaces - 3};
  fp8.heads = 2;
  fp8.kv_heads = 2;
  fp8.seed = run_seed();
  return fp8;
}

TEST_CASE("queries, keys and values beyond 2^32 elements are found", "[fp8_attention][far]") {
  const Fp8Case fp8 = far_case();
  const Fp8Inputs inputs = make_inputs(fp8);
  const Fp8Device near(driver(), fp8, inputs);
  for (const char operand : {'q', 'k', 'v'}) {
    const std::vector<std::uint8_t>& packed =
        operand == 'q' ? inputs.q : (operand == 'k' ? inputs.k : inputs.v);
    const std::size_t token = packed.size() / kPlaces;
    const DeviceBuffer far = far_buffer(token);
    FarTokens(far, token, kStride).upload(std::as_bytes(std::span(packed)));
    synchronize(driver());
    kernels::Fp8AttentionArgs args = near.args();
    (operand == 'q' ? args.q : (operand == 'k' ? args.k : args.v)) = far.as<void>();
    (operand == 'q'   ? args.q_token_stride
     : operand == 'k' ? args.k_token_stride
                      : args.v_token_stride) = kStride;
    launch_and_wait(args);
    CAPTURE(operand);
    check_far(fp8, inputs, near.download());
  }
}

TEST_CASE("outputs of fp8_attention beyond 2^32 elements are written", "[fp8_attention][far]") {
  for (const std::int64_t splits : {1, 2}) {
    Fp8Case fp8 = far_case();
    fp8.num_splits = splits;
    const Fp8Inputs inputs = make_inputs(fp8);
    const Fp8Device near(driver(), fp8, inputs);
    const std::size_t token = 2 * 128 * bytes_of(fp8.output_type());
    const std::size_t stride = kStride * bytes_of(fp8.output_type());
    const DeviceBuffer far = far_buffer(token, bytes_of(fp8.output_type()));
    kernels::Fp8AttentionArgs args = near.args();
    args.output = far.as<void>();
    args.output_token_stride = kStride;
    launch_and_wait(args);
    Fp8Outcome outcome = near.download();
    FarTokens(far, token, stride).download(outcome.output.payload());
    check_far(fp8, inputs, outcome);
  }
}

}  // namespace
}  // namespace jit::test
