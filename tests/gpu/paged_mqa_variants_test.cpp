// Tunables of paged_mqa_logits: however a request's tokens are grouped, passed over its keys, and
// spread over warpgroups, the bits are the same.
#include <catch2/catch_test_macros.hpp>

#include "gpu/mqa_grid.hpp"
#include "gpu/paged_mqa_device.hpp"
#include "gpu/paged_mqa_plan.hpp"
#include "kernels/paged_mqa_logits_launch.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kWorkers = 132;

struct Variant {
  std::int64_t next_n, num_heads, atom, atoms, stages, query_stages, threads;
  bool pad;
};

// Groups that divide the tokens and that leave a rest, padded or not; one, two and three passes;
// the fewest and many stages; two to four warpgroups.
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all{
      {1, 64, 1, 1, 1, 1, 384, false}, {1, 64, 1, 1, 8, 4, 384, false},
      {1, 64, 1, 1, 4, 2, 512, false}, {1, 64, 1, 1, 3, 3, 640, false},
      {1, 16, 1, 1, 1, 1, 640, false}, {1, 32, 1, 1, 2, 2, 512, true},
      {2, 64, 2, 1, 2, 2, 384, false}, {2, 64, 1, 2, 3, 3, 384, false},
      {2, 64, 1, 1, 3, 2, 384, false}, {2, 64, 1, 2, 2, 2, 640, false},
      {2, 32, 2, 1, 2, 3, 512, false}, {3, 64, 3, 1, 2, 1, 384, false},
      {3, 64, 2, 1, 2, 2, 384, false}, {3, 64, 2, 1, 2, 2, 384, true},
      {3, 64, 1, 3, 2, 2, 384, false}, {3, 64, 2, 2, 2, 2, 384, false},
      {3, 64, 1, 1, 2, 2, 384, false}, {3, 32, 2, 1, 2, 2, 512, true},
      {3, 32, 1, 3, 2, 2, 640, false}, {4, 64, 4, 1, 2, 1, 384, false},
      {4, 64, 2, 1, 2, 2, 384, false}, {4, 64, 2, 2, 2, 2, 384, false},
      {4, 64, 1, 4, 2, 2, 512, false}, {4, 32, 4, 1, 2, 2, 384, false},
      {4, 32, 3, 1, 2, 2, 384, true},  {5, 64, 3, 1, 2, 1, 384, false},
      {5, 64, 3, 2, 2, 2, 384, false}, {5, 64, 2, 3, 2, 2, 384, false},
      {5, 32, 2, 1, 2, 2, 384, true},  {5, 16, 5, 1, 3, 2, 512, false},
      {6, 64, 3, 2, 2, 2, 384, false}, {6, 64, 2, 3, 2, 2, 384, false},
      {6, 32, 4, 1, 2, 2, 384, false}, {6, 32, 4, 1, 2, 2, 384, true},
      {6, 16, 6, 1, 2, 2, 512, false},
  };
  return all;
}

std::vector<Constant> constants_of(const Variant& variant) {
  return {{"kNextN", variant.next_n},
          {"kNumHeads", variant.num_heads},
          {"kHeadDim", 128},
          {"kBlockKV", 64},
          {"LOGITS_TYPE", f32},
          {"CLEAN_LOGITS", true},
          {"HAS_SCHEDULE", false},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", true},
          {"kNextNAtom", variant.atom},
          {"kNumNextNAtoms", variant.atoms},
          {"kPadOddN", variant.pad},
          {"kNumStages", variant.stages},
          {"kNumQueryStages", variant.query_stages},
          {"kNumThreads", variant.threads}};
}

PagedMqaCase case_of(const Variant& variant) {
  PagedMqaCase paged;
  paged.batch = 45;
  paged.next_n = variant.next_n;
  paged.num_heads = variant.num_heads;
  paged.clean = true;
  paged.workers = kWorkers;
  paged.seed = run_seed() + static_cast<std::uint64_t>(variant.next_n * 64 + variant.num_heads);
  set_lengths(paged, LengthPattern::kAny, paged.seed);
  paged.lengths.front() = 4000;
  paged.max_context_len = 4001;
  return paged;
}

std::string check_variant(Runtime& runtime, const Variant& variant) {
  const PagedMqaCase paged = case_of(variant);
  const PagedMqaInputs inputs = make_inputs(paged);
  const PagedMqaDevice device(driver(), paged, inputs);
  const StreamOwner stream(driver());
  const std::vector<Constant> constants = constants_of(variant);
  const Kernel kernel =
      runtime.get_kernel("paged_mqa_logits", std::span<const Constant>(constants));
  kernels::KeptTensorMaps maps(runtime);
  kernels::launch_paged_mqa_logits(maps, kernel, device.args(), stream.get());
  stream.synchronize();
  const PagedMqaOutcome outcome = device.download();
  const std::string wrong = judge(paged, inputs, outcome).wrong;
  if (!wrong.empty()) return kernel.info().signature + ": " + wrong;
  const auto logits = outcome.logits.payload();
  const std::vector<std::byte> expected = logits_of(mqa_runtime(), paged, inputs);
  const bool same = std::equal(logits.begin(), logits.end(), expected.begin(), expected.end());
  return same ? "" : kernel.info().signature + ": other bits than the default's";
}

}  // namespace

TEST_CASE("child: precompile a share of the variants of paged_mqa_logits", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const Variant& variant : variants()) kernels.push_back(constants_of(variant));
  compile_share("paged_mqa_logits", kernels);
}

TEST_CASE("tunables do not change a bit of paged_mqa_logits", "[paged_mqa][variants]") {
  driver();
  const Folder folder;
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the variants of paged_mqa_logits", cache,
                      folder.path());
  Runtime runtime(options_for_many_kernels(cache));
  report_failures(run_on_threads(
      variants().size(), [&](std::size_t i) { return check_variant(runtime, variants()[i]); }));
  CHECK(runtime.stats().compiles == 0);
}

}  // namespace jit::test
