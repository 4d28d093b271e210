// Schedules and scores as an engine has them: made ready in one process, frozen in the next.
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "jit/kernels/mqa_logits.hpp"
#include "jit/kernels/paged_mqa_logits.hpp"
#include "kernels/front_end_fixture.hpp"
#include "kernels/random_sizes.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::somewhere;

constexpr int kRequests = 10'000;

class Requests : public testing::RandomSizes {
 public:
  Requests() : RandomSizes(6) {}

  kernels::PagedMqaLogitsArgs scores() {
    kernels::PagedMqaLogitsArgs args;
    args.batch = number(65'536);
    args.next_n = number(3);
    args.num_heads = 64;
    args.num_blocks = number(1'000'000);
    args.max_context_len = number(131'072);
    args.num_workers = number(264);
    args.query = somewhere(0x0100'0000'0000);
    args.weights = somewhere<float>(0x0200'0000'0000);
    args.context_lens = somewhere<std::int32_t>(0x0300'0000'0000);
    args.schedule = somewhere<std::int32_t>(0x0400'0000'0000);
    args.block_table = somewhere<std::int32_t>(0x0500'0000'0000);
    args.kv_cache = somewhere(0x0600'0000'0000);
    args.logits = somewhere(0x0800'0000'0000);
    args.clean_logits = true;
    return args;
  }
  kernels::MqaLogitsArgs prefill() {
    kernels::MqaLogitsArgs args;
    args.num_tokens = number(16'384);
    args.num_keys = number(131'072);
    args.num_heads = 64;
    args.query = somewhere(0x0100'0000'0000);
    args.keys = somewhere(0x0200'0000'0000);
    args.key_scales = somewhere<float>(0x0300'0000'0000);
    args.weights = somewhere<float>(0x0400'0000'0000);
    args.starts = somewhere<std::int32_t>(0x0500'0000'0000);
    args.ends = somewhere<std::int32_t>(0x0600'0000'0000);
    args.logits = somewhere(0x0800'0000'0000);
    return args;
  }
};

kernels::PagedMqaLogitsMetadataArgs schedule_of(const kernels::PagedMqaLogitsArgs& scores) {
  kernels::PagedMqaLogitsMetadataArgs args;
  args.batch = scores.batch;
  args.next_n = scores.next_n;
  args.max_context_len = scores.max_context_len;
  args.num_workers = scores.num_workers;
  args.context_lens = scores.context_lens;
  args.schedule = somewhere<std::int32_t>(0x0400'0000'0000);
  return args;
}

// What the README's program makes ready, and the same for prefill: no constant stated that front
// ends have a default for.
std::vector<KernelSpec> kernels_of_an_engine() {
  using None = std::initializer_list<Constant>;
  std::vector<KernelSpec> specs;
  for (const int batch : {1, 4096}) {
    specs.push_back({"paged_mqa_logits_metadata", None{}, Sizes{{"batch", batch}}});
  }
  for (const int next_n : {1, 2, 3}) {
    specs.push_back(
        {"paged_mqa_logits",
         {{"kNextN", next_n}, {"kNumHeads", 64}, {"HAS_SCHEDULE", true}, {"CLEAN_LOGITS", true}}});
  }
  specs.push_back({"mqa_logits", {{"kNumHeads", 64}}});
  return specs;
}

TEST_CASE("after a warm-up a frozen process serves any batch and lengths") {
  Scene scene;
  scene.use(0);
  {
    Runtime builder(scene.options);
    const WarmUpReport report = builder.warm_up(kernels_of_an_engine());
    for (const WarmUpFailure& failure : report.failures) FAIL_CHECK(failure.error.what());
    CHECK(builder.stats().compiles == 6);
  }
  scene.options.mode = Mode::kFrozen;
  Runtime engine(scene.options);
  Requests requests;
  for (int i = 0; i < kRequests; ++i) {
    const kernels::PagedMqaLogitsArgs scores = requests.scores();
    kernels::paged_mqa_logits_metadata(engine, schedule_of(scores), nullptr);
    kernels::paged_mqa_logits(engine, scores, nullptr);
    kernels::mqa_logits(engine, requests.prefill(), nullptr);
  }
  CHECK(scene.fake.launches().size() == std::size_t{3} * kRequests);
  CHECK(engine.stats().compiles == 0);
}

}  // namespace
}  // namespace jit
