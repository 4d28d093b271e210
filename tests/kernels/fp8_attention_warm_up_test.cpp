// FP8 attention as an engine has it: made ready in one process, frozen in the next.
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <vector>

#include "kernels/fp8_attention_args.hpp"
#include "kernels/random_sizes.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::somewhere;

constexpr int kRequests = 10'000;

class Requests : public testing::RandomSizes {
 public:
  Requests() : RandomSizes(8) {}

  // A step of prefill or decode from pages, of any lengths, for any number of heads.
  kernels::Fp8AttentionArgs next() {
    kernels::Fp8AttentionArgs args;
    args.num_sequences = number(4096);
    args.num_query_tokens = number(65'536);
    args.max_query_tokens = number(args.num_query_tokens);
    args.num_kv_heads = number(16);
    args.num_heads = 8 * args.num_kv_heads;
    args.softmax_scale = 1.0F / static_cast<float>(number(1000));
    args.q = somewhere(0x0100'0000'0000);
    args.k = somewhere(0x0200'0000'0000);
    args.v = somewhere(0x0400'0000'0000);
    args.q_head_stride = 16 * (7 + number(100));
    args.cu_seqlens_q = somewhere<std::int32_t>(0x0600'0000'0000);
    args.seqused_k = somewhere<std::int32_t>(0x0700'0000'0000);
    args.page_table = somewhere<std::int32_t>(0x0800'0000'0000);
    args.page_size = 16;
    args.max_pages = number(65'536);
    args.num_pages = number(1 << 20);
    args.max_key_tokens = number(1 << 20);
    args.k_descale = {somewhere<float>(0x0900'0000'0000), number(2) - 1, number(2) - 1};
    args.output = somewhere(0x0A00'0000'0000);
    args.workspace = somewhere(0x0C00'0000'0000);
    args.workspace_bytes = number(std::int64_t{1} << 34);
    return args;
  }
};

// What the README's program makes ready.
std::vector<KernelSpec> kernels_of_an_engine() {
  std::vector<KernelSpec> specs;
  for (const int rows : {1, 1'000'000}) {
    for (const bool split : {false, true}) {
      specs.push_back({"fp8_attention",
                       {{"kPackGqa", 8}, {"kPageRows", 16}, {"SPLIT", split}},
                       Sizes{{"max_query_rows", rows}}});
    }
  }
  specs.push_back({"attention_combine", std::initializer_list<Constant>{}});
  return specs;
}

TEST_CASE("after a warm-up a frozen process serves FP8 attention of any lengths") {
  Scene scene;
  scene.use(0);
  scene.options.template_path = {testing::write_quick_fp8_attention(scene.directory.path())};
  {
    Runtime builder(scene.options);
    const WarmUpReport report = builder.warm_up(kernels_of_an_engine());
    for (const WarmUpFailure& failure : report.failures) FAIL_CHECK(failure.error.what());
  }
  scene.options.mode = Mode::kFrozen;
  Runtime engine(scene.options);
  Requests requests;
  for (int i = 0; i < kRequests; ++i) {
    kernels::fp8_attention(engine, requests.next(), nullptr);
  }
  CHECK(engine.stats().compiles == 0);
  std::set<std::string> symbols;
  std::size_t joins = 0;
  for (const auto& launch : scene.fake.launches()) {
    symbols.insert(launch.symbol);
    joins += launch.symbol.find("combine") != std::string::npos ? 1U : 0U;
  }
  CHECK(symbols.size() == kernels_of_an_engine().size());
  CHECK(scene.fake.launches().size() == kRequests + joins);
}

}  // namespace
}  // namespace jit
