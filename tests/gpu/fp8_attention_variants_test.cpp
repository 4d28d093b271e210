// Tunables of fp8_attention: all are right; of those with the same tiles of keys none changes a
// bit.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "gpu/fp8_attention_plan.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_tools.hpp"
#include "kernels/fp8_attention_launch.hpp"

namespace jit::test {
namespace {

struct Variant {
  std::int64_t head_dim, threads, block_n, chunk, stages, value_stages;
};

// One, two and three warpgroups, rows of transposed values of 32, 64 and 128 bytes, heads in one
// part and in several.
constexpr std::array<Variant, 20> kVariants{{
    {64, 512, 96, 32, 3, 2},   {64, 256, 96, 32, 2, 2},   {64, 512, 96, 32, 2, 1},
    {64, 384, 128, 64, 2, 1},  {64, 256, 128, 32, 2, 1},  {96, 384, 192, 48, 2, 2},
    {96, 256, 192, 48, 2, 2},  {96, 384, 128, 96, 2, 1},  {96, 256, 128, 48, 3, 2},
    {128, 384, 160, 64, 2, 2}, {128, 256, 160, 64, 2, 2}, {128, 384, 96, 64, 2, 1},
    {128, 384, 96, 32, 3, 2},  {128, 256, 96, 64, 2, 1},  {192, 384, 96, 64, 2, 2},
    {192, 256, 96, 32, 2, 1},  {192, 384, 96, 64, 2, 1},  {256, 384, 64, 64, 2, 2},
    {256, 256, 64, 32, 2, 1},  {256, 384, 64, 64, 2, 1},
}};

Fp8Case case_of(const Variant& variant) {
  Fp8Case fp8;
  fp8.query_lengths = {1, 191, 0, 450, 193};
  fp8.key_lengths = {600, 191, 50, 450, 65};
  fp8.heads = 4;
  fp8.pack_gqa = 4;
  fp8.head_dim = variant.head_dim;
  fp8.head_dim_v = variant.head_dim;
  fp8.workers = 132;
  fp8.factors = Fp8Factors::kOrdinary;
  fp8.seed = run_seed();
  return fp8;
}

std::vector<Constant> constants_of(const Variant& variant) {
  std::vector<Constant> constants = constants_of(signature_of(case_of(variant)));
  constants.push_back({"kNumThreads", variant.threads});
  constants.push_back({"kBlockN", variant.block_n});
  constants.push_back({"kChunk", variant.chunk});
  constants.push_back({"kNumStages", variant.stages});
  constants.push_back({"kValueStages", variant.value_stages});
  return constants;
}

// The bits of the first of the variants that must agree. Threads: any.
class Agreement {
 public:
  bool agrees(const Variant& variant, const Fp8Bits& bits) {
    const std::lock_guard lock(mutex_);
    const std::array key{variant.head_dim, variant.block_n};
    return first_.try_emplace(key, bits).first->second == bits;
  }

 private:
  std::mutex mutex_;
  std::map<std::array<std::int64_t, 2>, Fp8Bits> first_;
};

std::string check_variant(Runtime& runtime, const Variant& variant, Agreement& agreement) {
  const Fp8Case fp8 = case_of(variant);
  const Fp8Inputs inputs = make_inputs(fp8);
  const Fp8Device device(driver(), fp8, inputs);
  const StreamOwner stream(driver());
  const std::vector<Constant> constants = constants_of(variant);
  const Kernel kernel = runtime.get_kernel("fp8_attention", std::span<const Constant>(constants));
  kernels::KeptTensorMaps maps(runtime);
  kernels::launch_fp8_attention(maps, kernel, device.args(), stream.get());
  stream.synchronize();
  const Fp8Outcome outcome = device.download();
  const std::string wrong = judge(fp8, inputs, outcome).wrong;
  if (!wrong.empty()) return kernel.info().signature + ": " + wrong;
  if (agreement.agrees(variant, bits_of(outcome))) return {};
  return kernel.info().signature + ": other bits than with other threads, chunks or stages";
}

}  // namespace

TEST_CASE("child: precompile a share of the variants of fp8_attention", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const Variant& variant : kVariants) kernels.push_back(constants_of(variant));
  compile_share("fp8_attention", kernels);
}

TEST_CASE("all tunables of fp8_attention are right; but for tiles of keys they change no bit",
          "[fp8_attention][variants]") {
  driver();
  const Folder folder;
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the variants of fp8_attention", cache,
                      folder.path());
  Runtime runtime(options_for_many_kernels(cache));
  Agreement agreement;
  report_failures(run_on_threads(kVariants.size(), [&](std::size_t i) {
    return check_variant(runtime, kVariants[i], agreement);
  }));
  CHECK(runtime.stats().compiles == 0);
}

}  // namespace jit::test
