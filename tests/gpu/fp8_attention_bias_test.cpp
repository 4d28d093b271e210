// Sums over long contexts: values whose mean is not 0 grow with them, and a kernel that leaves the
// sums to the tensor cores' 13 bits loses them. That kernel is here as well, to be caught.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_judge.hpp"

namespace jit::test {
namespace {

// Source: the gate; twice what an emulation of 13 bits finds.
constexpr double kGateOfEveryTile = 4e-3;
constexpr double kGateOfEveryFourth = 1.2e-2;
constexpr double kGrowth = 1.3;  // of the error from the shorter context to the longer
// Of results: all that is below is their own, whatever the context.
constexpr double kRounding = 0x1p-9;

struct Context {
  std::int32_t keys;
  double least_error;  // without sums in fp32
};
constexpr Context kShort{16'384, 0.05};
constexpr Context kLong{131'072, 0.3};

// 256 rows that see all but a few keys; decode: 8.
Fp8Case bias_case(const Fp8Dims& dims, Fp8Pattern pattern, std::int32_t keys, bool decode) {
  Fp8Case fp8;
  fp8.query_lengths = {decode ? 1 : 128};
  fp8.key_lengths = {keys};
  fp8.heads = decode ? 8 : 2;
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  fp8.pattern = pattern;
  fp8.seed = run_seed();
  return fp8;
}

// Errors of one case for several intervals, against one reference.
std::vector<double> errors_of(Fp8Case fp8, const std::vector<std::int64_t>& intervals) {
  const Fp8Inputs inputs = make_inputs(fp8);
  Fp8Judging judging;
  judging.threads = 0;
  const reference::AttentionReference reference = reference_of(fp8, inputs, judging);
  std::vector<double> errors;
  for (const std::int64_t interval : intervals) {
    fp8.accum_interval = interval;
    const Fp8Outcome outcome = run_fp8(fp8, inputs);
    CHECK(judge_surroundings(fp8, inputs, outcome) == "");
    errors.push_back(relative_distance(values_of(fp8, outcome, reference.rows), reference.output));
  }
  return errors;
}

void warm_up_bias(const std::vector<std::int64_t>& intervals) {
  std::vector<Fp8Case> cases;
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const bool decode : {false, true}) {
      for (const std::int64_t interval : intervals) {
        if (interval > 1 && dims.qk > 128) continue;
        cases.push_back(bias_case(dims, Fp8Pattern::kBias, 1, decode));
        cases.back().accum_interval = interval;
      }
    }
  }
  warm_up(cases);
}

void check_gates(const Fp8Dims& dims, Fp8Pattern pattern, bool decode) {
  std::vector<std::int64_t> intervals{1};
  if (dims.qk == 64 || dims.qk == 128) intervals.push_back(4);
  const auto near = errors_of(bias_case(dims, pattern, kShort.keys, decode), intervals);
  const auto far = errors_of(bias_case(dims, pattern, kLong.keys, decode), intervals);
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    const double gate = intervals[i] == 1 ? kGateOfEveryTile : kGateOfEveryFourth;
    fmt::print("  d={}/{} {}{} interval {}: error {:.2e} of {} keys, {:.2e} of {}\n", dims.qk,
               dims.v, pattern == Fp8Pattern::kBias ? "q=0, v~U(0,1)" : "v~N(1,1)",
               decode ? " decode" : "", intervals[i], near[i], kShort.keys, far[i], kLong.keys);
    CAPTURE(dims.qk, dims.v, static_cast<int>(pattern), decode, intervals[i]);
    CHECK(near[i] <= gate);
    CHECK(far[i] <= gate);
    CHECK(far[i] <= kGrowth * std::max(near[i], kRounding));
  }
}

TEST_CASE("sums of long contexts are kept by fp8_attention", "[fp8_attention][bias]") {
  warm_up_bias({1, 4});
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const bool decode : {false, true}) {
      check_gates(dims, Fp8Pattern::kBias, decode);
      check_gates(dims, Fp8Pattern::kShifted, decode);
    }
  }
}

TEST_CASE("without sums in fp32 the gates of long contexts fail", "[fp8_attention][bias]") {
  warm_up_bias({0});
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const Fp8Pattern pattern : {Fp8Pattern::kBias, Fp8Pattern::kShifted}) {
      for (const Context& context : {kShort, kLong}) {
        const double error = errors_of(bias_case(dims, pattern, context.keys, false), {0})[0];
        fmt::print("  d={}/{} {} interval 0: error {:.2e} of {} keys\n", dims.qk, dims.v,
                   pattern == Fp8Pattern::kBias ? "q=0, v~U(0,1)" : "v~N(1,1)", error,
                   context.keys);
        CAPTURE(dims.qk, dims.v, static_cast<int>(pattern), context.keys);
        CHECK(error > context.least_error);
        CHECK(error > kGateOfEveryTile);
      }
    }
  }
}

}  // namespace
}  // namespace jit::test
