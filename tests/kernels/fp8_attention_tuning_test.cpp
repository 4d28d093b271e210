// The tuning problem of fp8_attention on a fake device, whose memory is the host's: what plain
// attention writes is right, and whatever else is there is found.
#include "kernels/fp8_attention_tuning.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "fp8_attention/params.h"
#include "kernels/reference/element.hpp"
#include "kernels/tuning_bench.hpp"
#include "support/fake_tensor_map.hpp"

namespace jit::test {
namespace {

namespace device = cubinet::fp8_attention;
using testing::FakeTensorMap;

constexpr std::int64_t kDim = 64;
constexpr std::int64_t kNoMask = std::int64_t{1} << 30;

// What differs from causal prefill of contiguous keys.
struct Kind {
  bool causal = true;
  bool window = false;
  bool softcap = false;
  bool sinks = false;
  bool split = false;
  bool fp8 = false;
  std::int64_t page_rows = 0;
  std::int64_t pack = 8;
};

std::vector<Constant> shape_of(const Kind& kind) {
  return {{"kHeadDim", kDim},
          {"kHeadDimV", kDim},
          {"kAccumInterval", 1},
          {"CAUSAL", kind.causal},
          {"WINDOW", kind.window},
          {"SOFTCAP", kind.softcap},
          {"SINKS", kind.sinks},
          {"kPackGqa", kind.pack},
          {"kPageRows", kind.page_rows},
          {"SPLIT", kind.split},
          {"USE_FP8_OUTPUT", kind.fp8},
          {"kInvariant", false},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
}

// A fake kernel of the template.
class Bench : public TuningBench {
 public:
  explicit Bench(const Kind& kind)
      : TuningBench(sizeof(device::Params), with_tunables(shape_of(kind))),
        shape_(shape_of(kind)) {}

  std::unique_ptr<TuningProblem> problem(const std::vector<Size>& sizes,
                                         std::size_t rotate_bytes = 0) {
    TuningProblemRequest request;
    request.shape = shape_;
    request.sizes = sizes;
    request.seed = 7;
    request.rotate_bytes = rotate_bytes;
    return make_fp8_attention_problem(driver(), request);
  }
  device::Params launch(TuningProblem& problem, std::size_t set) {
    return TuningBench::launch<device::Params>(problem, set);
  }

 private:
  static std::vector<Constant> with_tunables(std::vector<Constant> constants) {
    for (const Constant& constant :
         {Constant{"kNumThreads", 384}, Constant{"kBlockN", 128}, Constant{"kChunk", 64},
          Constant{"kNumStages", 2}, Constant{"kValueStages", 1}}) {
      constants.push_back(constant);
    }
    return constants;
  }

  std::vector<Constant> shape_;
};

// ---- What a right kernel writes ----

double load(const cubinet::TensorMap& bits, std::int64_t row, std::int64_t element) {
  const FakeTensorMap map = FakeTensorMap::read(&bits);
  return reference::load_element(e4m3,
                                 reinterpret_cast<const void*>(map.address),  // NOLINT
                                 static_cast<std::uint64_t>(row * kDim + element));
}

// One row of the output: token t, which is number `i` of sequence b.
struct Place {
  std::int64_t b, t, i, head, part;
};

// Plain attention in float64, as launched by Params.
class Attention {
 public:
  Attention(const device::Params& params, const Kind& kind, std::int64_t keys)
      : params_(params), kind_(kind), keys_(keys) {}

  void write_all() const {
    for (std::int64_t b = 0; b < params_.num_sequences; ++b) {
      for (std::int64_t t = params_.cu_seqlens_q[b]; t < params_.cu_seqlens_q[b + 1]; ++t) {
        for (std::int64_t head = 0; head < params_.num_heads; ++head) {
          for (std::int64_t part = 0; part < params_.num_splits; ++part) {
            write({b, t, t - params_.cu_seqlens_q[b], head, part});
          }
        }
      }
    }
  }

 private:
  // Of keys and values, where key j of the row's sequence lies.
  std::int64_t row_of(const Place& at, std::int64_t j) const {
    std::int64_t token = at.b * keys_ + j;
    if (kind_.page_rows != 0) {
      const std::int64_t size = params_.page_size;
      token = params_.page_table[at.b * params_.page_table_stride + j / size] * size + j % size;
    }
    const std::int64_t kv_heads = params_.num_heads / params_.heads_per_kv;
    return token * kv_heads + at.head / params_.heads_per_kv;
  }

  bool sees(const Place& at, std::int64_t j) const {
    const std::int64_t length = params_.cu_seqlens_q[at.b + 1] - params_.cu_seqlens_q[at.b];
    const std::int64_t own = at.i + keys_ - length;
    const std::int64_t left = kind_.window ? params_.window_left : kNoMask;
    std::int64_t right = kind_.window ? params_.window_right : kNoMask;
    if (kind_.causal) right = 0;
    return j >= own - left && j <= own + right;
  }

  double score(const Place& at, std::int64_t j) const {
    double product = 0;
    for (std::int64_t i = 0; i < kDim; ++i) {
      product += load(params_.q, at.t * params_.num_heads + at.head, i) *
                 load(params_.k, row_of(at, j), i);
    }
    if (kind_.softcap) product = std::tanh(product * static_cast<double>(params_.softcap_factor));
    return product * static_cast<double>(params_.softmax_scale_log2);
  }

  void write(const Place& at) const {
    double sum = 0;
    std::vector<double> row(static_cast<std::size_t>(kDim));
    if (kind_.sinks && at.part == 0) {
      sum = std::exp(
          reference::load_element(bf16, params_.sinks, static_cast<std::uint64_t>(at.head)));
    }
    // Part 1 has no keys; the others every third one.
    for (std::int64_t j = 0; j < keys_; ++j) {
      const std::int64_t part = j % 3 == 0 ? 0 : j % 3 + 1;
      if (!sees(at, j) || (kind_.split && part != at.part)) continue;
      const double weight = std::exp2(score(at, j));
      sum += weight;
      for (std::int64_t i = 0; i < kDim; ++i) {
        row[static_cast<std::size_t>(i)] += weight * load(params_.v, row_of(at, j), i);
      }
    }
    for (double& value : row) value /= sum;
    params_.lse[at.part * params_.lse_split_stride + at.head * params_.lse_head_stride + at.t] =
        static_cast<float>(std::log(sum));
    if (sum != 0) store(at, row);
  }

  void store(const Place& at, const std::vector<double>& row) const {
    const std::int64_t first = at.part * params_.out_split_stride +
                               at.t * params_.out_token_stride + at.head * params_.out_head_stride;
    const DType type = kind_.split ? f32 : kind_.fp8 ? e4m3 : bf16;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double scaled =
          kind_.fp8 ? row[i] * static_cast<double>(1.0F / *params_.output_scale) : row[i];
      reference::store_element(type, params_.out, static_cast<std::uint64_t>(first) + i, scaled);
    }
  }

  device::Params params_;
  Kind kind_;
  std::int64_t keys_;
};

// ---- Tests ----

const std::vector<Size> kSizes{{"num_query_tokens", 14}, {"num_sequences", 2}};

TEST_CASE("a right launch of fp8_attention passes, and what is wrong is found",
          "[kernels][tune][fp8_attention]") {
  const Kind kind;
  Bench bench(kind);
  const auto problem = bench.problem(kSizes, 60'000);
  REQUIRE(problem->sets() >= 2);
  for (const std::size_t set : {std::size_t{0}, problem->sets() - 1}) {
    problem->poison(set, bench.stream());
    CHECK_FALSE(problem->verify(set, bench.stream()).empty());
    const device::Params params = bench.launch(*problem, set);
    CHECK(params.num_heads == 16);
    CHECK(params.heads_per_kv == 8);
    CHECK(params.num_splits == 1);
    REQUIRE(params.work_counters != nullptr);
    Attention(params, kind, 7).write_all();
    INFO(problem->verify(set, bench.stream()));
    CHECK(problem->verify(set, bench.stream()).empty());
    auto* const out = static_cast<std::uint16_t*>(params.out);
    const auto is_found = [&](auto& place, auto wrong) {
      const auto right = std::exchange(place, wrong);
      const std::string found = problem->verify(set, bench.stream());
      place = right;
      return !found.empty();
    };
    CHECK(is_found(out[14 * 16 * kDim - 1], std::uint16_t{0xFFFF}));  // not written
    CHECK(is_found(params.work_counters[0], 1U));
    // Of all rows, some of which are looked at: those of another sequence.
    const std::vector<std::uint16_t> right(out, out + 14 * 16 * kDim);
    std::rotate(out, out + 7 * 16 * kDim, out + 14 * 16 * kDim);
    CHECK_FALSE(problem->verify(set, bench.stream()).empty());
    std::copy(right.begin(), right.end(), out);
    for (int i = 0; i < 14 * 16; ++i) params.lse[i] += 0.01F;
    CHECK_FALSE(problem->verify(set, bench.stream()).empty());
    for (int i = 0; i < 14 * 16; ++i) params.lse[i] -= 0.01F;
    CHECK(problem->verify(set, bench.stream()).empty());
  }
}

TEST_CASE("masks, caps, sinks and codes of fp8_attention are known",
          "[kernels][tune][fp8_attention]") {
  Kind kind;
  kind.causal = false;
  kind.window = kind.softcap = kind.sinks = kind.fp8 = true;
  kind.pack = 1;
  Bench bench(kind);
  const auto problem = bench.problem({{"num_query_tokens", 12},
                                      {"num_key_tokens", 60},
                                      {"num_sequences", 2},
                                      {"num_heads", 4},
                                      {"num_kv_heads", 2}});
  const auto passes = [&](const Kind& written) {
    problem->poison(0, bench.stream());
    const device::Params params = bench.launch(*problem, 0);
    REQUIRE(params.sinks != nullptr);
    REQUIRE(params.output_scale != nullptr);
    Attention(params, written, 30).write_all();
    const std::string found = problem->verify(0, bench.stream());
    UNSCOPED_INFO(found);
    return found.empty();
  };
  CHECK(passes(kind));
  for (bool Kind::*const feature : {&Kind::window, &Kind::softcap, &Kind::sinks, &Kind::causal}) {
    Kind other = kind;
    other.*feature = !(other.*feature);
    CHECK_FALSE(passes(other));
  }
}

TEST_CASE("parts of fp8_attention are joined before they are judged, pages found",
          "[kernels][tune][fp8_attention]") {
  Kind kind;
  kind.split = kind.sinks = true;
  kind.page_rows = 16;
  kind.pack = 16;
  Bench bench(kind);
  const auto problem = bench.problem({{"num_query_tokens", 3},
                                      {"num_key_tokens", 300},
                                      {"num_sequences", 3},
                                      {"max_query_rows", 8}});
  problem->poison(0, bench.stream());
  const device::Params params = bench.launch(*problem, 0);
  CHECK(params.num_splits == kFp8TuningSplits);
  CHECK(params.heads_per_kv == 16);
  CHECK(params.page_size == 16);
  Attention(params, kind, 100).write_all();
  INFO(problem->verify(0, bench.stream()));
  CHECK(problem->verify(0, bench.stream()).empty());
  // Without an empty part's LSE, which says that nothing else of it counts.
  float& empty = params.lse[params.lse_split_stride];
  CHECK(std::isinf(std::exchange(empty, std::numeric_limits<float>::quiet_NaN())));
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
  empty = -std::numeric_limits<float>::infinity();
  static_cast<float*>(params.out)[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
  Kind without = kind;
  without.sinks = false;
  Attention(params, without, 100).write_all();
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
}

TEST_CASE("fp8_attention is not tuned for nothing", "[kernels][tune][fp8_attention]") {
  Bench bench(Kind{});
  CHECK_THROWS_AS(bench.problem({}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 7}, {"num_sequences", 2}}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"num_heads", 12}}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"num_heads", 16}, {"num_kv_heads", 4}}),
                  Error);
  CHECK_NOTHROW(bench.problem({{"num_query_tokens", 8}, {"max_query_rows", 8 * 8}}));
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"max_query_rows", 7}}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"max_query_rows", 8 * 17}}), Error);
}

}  // namespace
}  // namespace jit::test
