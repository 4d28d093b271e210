// Tunables of mla_prefill: all are right; the number of stages and taking turns change no bit.
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>

#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "gpu/mla_prefill_plan.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_tools.hpp"
#include "kernels/mla_prefill_launch.hpp"

namespace jit::test {
namespace {

struct Variant {
  std::int64_t head_dim, threads, block_n, stages;
  bool turns;
};

// One and two warpgroups, tiles of keys that are and are not multiples of 64, one to four stages;
// those of the same head dim, threads and keys must agree.
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all{
      {192, 256, 64, 2, false},  {192, 256, 64, 4, false},  {192, 256, 96, 2, false},
      {192, 256, 128, 2, false}, {192, 384, 128, 1, false}, {192, 384, 128, 1, true},
      {192, 384, 128, 2, false}, {192, 384, 128, 2, true},  {192, 384, 160, 1, true},
      {192, 384, 160, 1, false}, {128, 256, 64, 3, false},  {128, 256, 128, 3, false},
      {128, 256, 128, 2, false}, {128, 384, 128, 2, false}, {128, 384, 128, 3, true},
      {128, 384, 176, 2, false}, {128, 384, 176, 2, true},  {64, 256, 64, 2, false},
      {64, 256, 64, 4, false},   {64, 256, 192, 2, false},  {64, 256, 192, 4, false},
      {64, 384, 128, 2, false},  {64, 384, 128, 4, true},   {64, 384, 192, 2, true},
      {64, 384, 192, 3, false},
  };
  return all;
}

MlaCase case_of(const Variant& variant) {
  MlaCase mla;
  mla.query_lengths = {1, 191, 0, 450, 193};
  mla.key_lengths = {600, 191, 50, 450, 65};
  mla.heads = 4;
  mla.kv_heads = 2;
  mla.head_dim = variant.head_dim;
  mla.head_dim_v = std::min<std::int64_t>(variant.head_dim, 128);
  mla.workers = 132;
  mla.seed = run_seed();
  return mla;
}

std::vector<Constant> constants_of(const Variant& variant) {
  std::vector<Constant> constants = constants_of(signature_of(case_of(variant)));
  constants.push_back({"kNumThreads", variant.threads});
  constants.push_back({"kBlockN", variant.block_n});
  constants.push_back({"kNumStages", variant.stages});
  constants.push_back({"TAKE_TURNS", variant.turns});
  return constants;
}

// The bits of the first of the variants that must agree. Threads: any.
class Agreement {
 public:
  bool agrees(const Variant& variant, const MlaBits& bits) {
    const std::lock_guard lock(mutex_);
    const std::array key{variant.head_dim, variant.threads, variant.block_n};
    return first_.try_emplace(key, bits).first->second == bits;
  }

 private:
  std::mutex mutex_;
  std::map<std::array<std::int64_t, 3>, MlaBits> first_;
};

std::string check_variant(Runtime& runtime, const Variant& variant, Agreement& agreement) {
  const MlaCase mla = case_of(variant);
  const MlaInputs inputs = make_inputs(mla);
  const MlaDevice device(driver(), mla, inputs);
  const StreamOwner stream(driver());
  const std::vector<Constant> constants = constants_of(variant);
  const Kernel kernel = runtime.get_kernel("mla_prefill", std::span<const Constant>(constants));
  kernels::KeptTensorMaps maps(runtime);
  kernels::launch_mla_prefill(maps, kernel, device.args(), stream.get());
  stream.synchronize();
  const MlaOutcome outcome = device.download();
  const std::string wrong = judge(mla, inputs, outcome).wrong;
  if (!wrong.empty()) return kernel.info().signature + ": " + wrong;
  if (agreement.agrees(variant, bits_of(outcome))) return {};
  return kernel.info().signature + ": other bits than with other stages or turns";
}

}  // namespace

TEST_CASE("child: precompile a share of the variants of mla_prefill", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const Variant& variant : variants()) kernels.push_back(constants_of(variant));
  compile_share("mla_prefill", kernels);
}

TEST_CASE("all tunables of mla_prefill are right; stages and turns do not change a bit",
          "[mla_prefill][variants]") {
  driver();
  const Folder folder;
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the variants of mla_prefill", cache,
                      folder.path());
  Runtime runtime(options_for_many_kernels(cache));
  Agreement agreement;
  report_failures(run_on_threads(variants().size(), [&](std::size_t i) {
    return check_variant(runtime, variants()[i], agreement);
  }));
  CHECK(runtime.stats().compiles == 0);
}

}  // namespace jit::test
