// Results of fp8_attention beside an emulation of the same tiles, which is much nearer to them than
// the exact reference: a wrong quantisation, offset, order of tiles or rescaling shows.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "kernels/reference/attention_emulator.hpp"

namespace jit::test {
namespace {

// As the front end has them.
reference::AttentionTiling tiling_of(const Fp8Case& fp8) {
  reference::AttentionTiling tiling;
  tiling.block_n = keys_of_tile(fp8);
  tiling.accumulation_interval = fp8.accum_interval;
  if (fp8.num_splits == 1) return tiling;
  const std::int64_t tiles = (fp8.longest_key() + tiling.block_n - 1) / tiling.block_n;
  tiling.num_splits = fp8.num_splits;
  tiling.split_tiles = (tiles + fp8.num_splits - 1) / fp8.num_splits;
  return tiling;
}

void check_emulated(const Fp8Case& fp8) {
  const Fp8Inputs inputs = make_inputs(fp8);
  const Fp8Outcome outcome = run_fp8(fp8, inputs);
  CHECK(judge_surroundings(fp8, inputs, outcome) == "");
  const reference::AttentionTiling tiling = tiling_of(fp8);
  const auto emulation = reference::emulate_attention(problem_of(fp8, inputs), tiling);
  const auto agreement = reference::compare_with_emulation(emulation, output_of(fp8, outcome));
  CAPTURE(fp8.text(), tiling.block_n);
  CHECK(agreement.first_failure == "");
  fmt::print("  d={}/{} tiles of {} keys{}{}: {}\n", fp8.head_dim, fp8.head_dim_v, tiling.block_n,
             fp8.longest_query() == 1 ? ", decode" : "",
             fp8.num_splits > 1 ? fmt::format(", {} parts", fp8.num_splits) : "", agreement.text());
}

TEST_CASE("fp8_attention is near an emulation of its own tiles", "[fp8_attention][emulator]") {
  std::vector<Fp8Case> cases;
  for (const Fp8Dims& dims : kFp8Dims) {
    Fp8Case prefill;
    prefill.query_lengths = {500, 77};
    prefill.key_lengths = {1500, 700};
    prefill.head_dim = dims.qk;
    prefill.head_dim_v = dims.v;
    prefill.seed = run_seed();
    Fp8Case decode = prefill;
    decode.query_lengths = {1, 1};
    Fp8Case parts = decode;
    parts.num_splits = 3;
    Fp8Case sharp = prefill;
    sharp.pattern = Fp8Pattern::kRising;
    cases.insert(cases.end(), {prefill, decode, parts, sharp});
  }
  warm_up(cases);
  for (const Fp8Case& fp8 : cases) check_emulated(fp8);
}

}  // namespace
}  // namespace jit::test
