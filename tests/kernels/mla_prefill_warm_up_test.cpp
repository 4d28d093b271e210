// Prefill as an engine has it: made ready in one process, frozen in the next.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "kernels/mla_prefill_args.hpp"
#include "kernels/random_sizes.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::somewhere;

constexpr int kRequests = 10'000;

class Requests : public testing::RandomSizes {
 public:
  Requests() : RandomSizes(7) {}

  // Some tokens, FP8 output.
  kernels::MlaPrefillArgs prefill() {
    kernels::MlaPrefillArgs args;
    args.num_sequences = number(4096);
    args.num_query_tokens = number(65'536);
    args.num_heads = number(128);
    args.softmax_scale = 1.0F / static_cast<float>(number(1000));
    args.q = somewhere(0x0100'0000'0000);
    args.k = somewhere(0x0200'0000'0000);
    args.v = somewhere(0x0300'0000'0000);
    args.k_rope = somewhere(0x0B00'0000'0000);
    args.v_head_stride = 256;
    args.cu_seqlens_q = somewhere<std::int32_t>(0x0400'0000'0000);
    args.output = somewhere(0x0500'0000'0000);
    args.output_scale = somewhere<float>(0x0600'0000'0000);
    return args;
  }
  std::vector<kernels::MlaContextChunk> context() {
    std::vector<kernels::MlaContextChunk> chunks(static_cast<std::size_t>(number(4)));
    for (kernels::MlaContextChunk& chunk : chunks) {
      chunk.num_key_tokens = number(131'072);
      chunk.k = somewhere(0x0700'0000'0000);
      chunk.v = somewhere(0x0800'0000'0000);
      chunk.k_rope = somewhere(0x0C00'0000'0000);
      chunk.v_head_stride = 256;
      chunk.cu_seqlens_k = somewhere<std::int32_t>(0x0900'0000'0000);
    }
    return chunks;
  }
};

// What the README's program makes ready: no constant stated that front ends have a default for.
std::vector<KernelSpec> kernels_of_an_engine() {
  std::vector<KernelSpec> specs;
  for (const int rows : {1, 1'000'000}) {
    for (const bool causal : {true, false}) {
      specs.push_back({"mla_prefill",
                       {{"kRopeDim", 64}, {"OUTPUT_TYPE", f32}, {"CAUSAL", causal}},
                       Sizes{{"num_query_rows", rows}}});
    }
    specs.push_back({"mla_prefill",
                     {{"kRopeDim", 64}, {"USE_FP8_OUTPUT", true}},
                     Sizes{{"num_query_rows", rows}}});
  }
  for (const int tokens : {1, 4096}) {
    for (const bool last : {false, true}) {
      specs.push_back({"merge_attn_states",
                       {{"HEAD_SIZE", 128},
                        {"INPUT_TYPE", f32},
                        {"USE_FP8_OUTPUT", last},
                        {"HAS_OUTPUT_LSE", !last},
                        {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}},
                       Sizes{{"num_tokens", tokens}}});
    }
  }
  return specs;
}

TEST_CASE("after a warm-up a frozen process serves prefills of any lengths and contexts") {
  Scene scene;
  scene.use(0);
  scene.options.template_path = {testing::write_quick_mla_prefill(scene.directory.path())};
  {
    Runtime builder(scene.options);
    const WarmUpReport report = builder.warm_up(kernels_of_an_engine());
    for (const WarmUpFailure& failure : report.failures) FAIL_CHECK(failure.error.what());
  }
  scene.options.mode = Mode::kFrozen;
  Runtime engine(scene.options);
  Requests requests;
  std::size_t launches = 0;
  for (int i = 0; i < kRequests; ++i) {
    const kernels::MlaPrefillArgs args = requests.prefill();
    const auto chunks = i % 4 == 0 ? requests.context() : std::vector<kernels::MlaContextChunk>{};
    kernels::mla_prefill_with_context(engine, args, chunks, somewhere(0x0A00'0000'0000), nullptr);
    launches += 1 + 2 * chunks.size();
  }
  CHECK(scene.fake.launches().size() == launches);
  CHECK(engine.stats().compiles == 0);
}

}  // namespace
}  // namespace jit
