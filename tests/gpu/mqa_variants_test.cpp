// Tunables of mqa_logits: however many query tokens share a tile of keys, and over how many
// warpgroups tiles are spread, the bits are the same.
#include <catch2/catch_test_macros.hpp>

#include "gpu/mqa_device.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_plan.hpp"
#include "gpu/paged_mqa_device.hpp"
#include "kernels/mqa_logits_launch.hpp"

namespace jit::test {
namespace {

struct Variant {
  std::int64_t num_heads, block_q, stages, query_stages, threads;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all{
      {64, 1, 1, 1, 384}, {64, 1, 3, 2, 640}, {64, 2, 3, 2, 384}, {64, 2, 2, 3, 512},
      {32, 1, 2, 2, 512}, {32, 2, 2, 4, 640}, {32, 4, 3, 2, 384}, {16, 1, 8, 1, 384},
      {16, 4, 2, 2, 640}, {16, 8, 3, 2, 384}, {16, 8, 2, 1, 512},
  };
  return all;
}

std::vector<Constant> constants_of(const Variant& variant) {
  return {{"kNumHeads", variant.num_heads},
          {"kHeadDim", 128},
          {"LOGITS_TYPE", f32},
          {"COMPRESSED_LOGITS", false},
          {"CLEAN_LOGITS", true},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", true},
          {"kBlockQ", variant.block_q},
          {"kNumStages", variant.stages},
          {"kNumQueryStages", variant.query_stages},
          {"kNumThreads", variant.threads}};
}

MqaCase case_of(const Variant& variant) {
  MqaCase mqa;
  mqa.tokens = 131;
  mqa.keys = 1001;
  mqa.num_heads = variant.num_heads;
  mqa.clean = true;
  mqa.workers = 132;
  mqa.seed = run_seed() + static_cast<std::uint64_t>(variant.num_heads);
  set_ranges(mqa, RangePattern::kAny, mqa.seed);
  return mqa;
}

std::string check_variant(Runtime& runtime, const Variant& variant) {
  const MqaCase mqa = case_of(variant);
  const MqaInputs inputs = make_inputs(mqa);
  const MqaDevice device(driver(), mqa, inputs);
  const StreamOwner stream(driver());
  const std::vector<Constant> constants = constants_of(variant);
  const Kernel kernel = runtime.get_kernel("mqa_logits", std::span<const Constant>(constants));
  kernels::KeptTensorMaps maps(runtime);
  kernels::launch_mqa_logits(maps, kernel, device.args(), stream.get());
  stream.synchronize();
  const MqaOutcome outcome = device.download();
  const std::string wrong = judge(mqa, inputs, outcome).wrong;
  if (!wrong.empty()) return kernel.info().signature + ": " + wrong;
  const auto logits = outcome.logits.payload();
  const std::vector<std::byte> expected = logits_of(mqa_runtime(), mqa, inputs);
  const bool same = std::equal(logits.begin(), logits.end(), expected.begin(), expected.end());
  return same ? "" : kernel.info().signature + ": other bits than the default's";
}

}  // namespace

TEST_CASE("child: precompile a share of the variants of mqa_logits", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const Variant& variant : variants()) kernels.push_back(constants_of(variant));
  compile_share("mqa_logits", kernels);
}

TEST_CASE("tunables do not change a bit of mqa_logits", "[mqa][variants]") {
  driver();
  const Folder folder;
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the variants of mqa_logits", cache,
                      folder.path());
  Runtime runtime(options_for_many_kernels(cache));
  report_failures(run_on_threads(
      variants().size(), [&](std::size_t i) { return check_variant(runtime, variants()[i]); }));
  CHECK(runtime.stats().compiles == 0);
}

}  // namespace jit::test
