// The tuning problem of mla_prefill on a fake device, whose memory is the host's: what plain
// attention writes is right, and whatever else is there is found.
#include "kernels/mla_prefill_tuning.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/tuning_bench.hpp"
#include "mla_prefill/params.h"
#include "support/fake_tensor_map.hpp"

namespace jit::test {
namespace {

namespace device = cubinet::mla_prefill;
using testing::FakeTensorMap;

struct Output {
  DType type = bf16;
  bool fp8 = false;
  std::int64_t group = 0;
  bool ue8m0 = false;
};

std::vector<Constant> shape_of(const Output& output, std::int64_t rope_dim, bool causal) {
  return {{"kHeadDim", 192},
          {"kHeadDimV", 128},
          {"kRopeDim", rope_dim},
          {"CAUSAL", causal},
          {"OUTPUT_TYPE", output.type},
          {"USE_FP8_OUTPUT", output.fp8},
          {"FP8_GROUP_SIZE", output.group},
          {"USE_UE8M0_SCALES", output.ue8m0},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
}

// A fake kernel of the template.
class Bench : public TuningBench {
 public:
  explicit Bench(std::vector<Constant> shape)
      : TuningBench(sizeof(device::Params), with_tunables(shape)), shape_(std::move(shape)) {}

  std::unique_ptr<TuningProblem> problem(const std::vector<Size>& sizes,
                                         std::size_t rotate_bytes = 0) {
    TuningProblemRequest request;
    request.shape = shape_;
    request.sizes = sizes;
    request.seed = 7;
    request.rotate_bytes = rotate_bytes;
    return make_mla_prefill_problem(driver(), request);
  }
  device::Params launch(TuningProblem& problem, std::size_t set) {
    return TuningBench::launch<device::Params>(problem, set);
  }

 private:
  static std::vector<Constant> with_tunables(std::vector<Constant> constants) {
    for (const Constant& constant :
         {Constant{"kNumThreads", 384}, Constant{"kBlockN", 128}, Constant{"kNumStages", 2}}) {
      constants.push_back(constant);
    }
    return constants;
  }

  std::vector<Constant> shape_;
};

// ---- What a right kernel writes ----

// Element i of head g of token t, as the tensor map says.
double load(const cubinet::TensorMap& bits, std::int64_t t, std::int64_t g, std::int64_t i) {
  const FakeTensorMap map = FakeTensorMap::read(&bits);
  const auto token_bytes = static_cast<std::int64_t>(map.strides[0]);
  const auto head_bytes = static_cast<std::int64_t>(map.rank == 4 ? map.strides[2] : 0);
  const auto* const base =
      reinterpret_cast<const std::byte*>(map.address);  // NOLINT(performance-no-int-to-ptr)
  return reference::load_element(bf16, base + t * token_bytes + g * head_bytes,
                                 static_cast<std::uint64_t>(i));
}

// One row: query token t of the sequence whose tokens begin at `first_q`.
struct Place {
  std::int64_t t, head, first_q, end_q, first_k, end_k;
};

class Attention {
 public:
  Attention(const device::Params& params, Output output, std::int64_t rope_dim, bool causal)
      : params_(params), output_(output), rope_dim_(rope_dim), causal_(causal) {}

  void write_all() const {
    for (int b = 0; b < params_.num_sequences; ++b) {
      for (std::int64_t t = params_.cu_seqlens_q[b]; t < params_.cu_seqlens_q[b + 1]; ++t) {
        for (int head = 0; head < params_.num_heads; ++head) {
          write({t, head, params_.cu_seqlens_q[b], params_.cu_seqlens_q[b + 1],
                 params_.cu_seqlens_k[b], params_.cu_seqlens_k[b + 1]});
        }
      }
    }
  }

 private:
  double key(std::int64_t j, std::int64_t head_kv, std::int64_t i) const {
    const std::int64_t own = 192 - rope_dim_;
    return i < own ? load(params_.k, j, head_kv, i) : load(params_.k_rope, j, 0, i - own);
  }

  void write(const Place& at) const {
    const std::int64_t head_kv = at.head / params_.heads_per_kv;
    std::int64_t end = at.end_k;
    if (causal_) end = std::min(end, at.first_k + at.t - at.end_q + 1 + at.end_k - at.first_k);
    double sum = 0;
    std::vector<double> row(128);
    for (std::int64_t j = at.first_k; j < end; ++j) {
      double score = 0;
      for (std::int64_t i = 0; i < 192; ++i) {
        score += load(params_.q, at.t, at.head, i) * key(j, head_kv, i);
      }
      const double weight = std::exp(score / std::sqrt(192.0));
      sum += weight;
      for (std::int64_t i = 0; i < 128; ++i) {
        row[static_cast<std::size_t>(i)] += weight * load(params_.v, j, head_kv, i);
      }
    }
    for (double& value : row) value /= sum;
    params_.lse[at.head * params_.lse_head_stride + at.t] = static_cast<float>(std::log(sum));
    store(at, row);
  }

  void store(const Place& at, const std::vector<double>& row) const {
    auto* const out = static_cast<std::byte*>(params_.out);
    const std::int64_t first = at.t * params_.out_token_stride + at.head * params_.out_head_stride;
    const auto group = static_cast<std::size_t>(output_.group == 0 ? 128 : output_.group);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto element = static_cast<std::uint64_t>(first) + i;
      if (!output_.fp8) {
        reference::store_element(output_.type, out, element, row[i]);
        continue;
      }
      float scale = output_.group == 0 ? *params_.output_scale : 0;
      if (output_.group != 0) {
        const auto of = std::span(row).subspan(i / group * group, group);
        double largest = 0;
        for (const double value : of) largest = std::max(largest, std::abs(value));
        scale = static_cast<float>(largest) / 448.0F;
        const auto groups = static_cast<std::int64_t>(row.size() / group);
        params_.group_scales[at.t * params_.scale_token_stride +
                             (at.head * groups + static_cast<std::int64_t>(i / group)) *
                                 params_.scale_group_stride] = scale;
      }
      reference::store_element(e4m3, out, element,
                               static_cast<double>(static_cast<float>(row[i]) * (1.0F / scale)));
    }
  }

  device::Params params_;
  Output output_;
  std::int64_t rope_dim_;
  bool causal_;
};

// ---- Tests ----

const std::vector<Size> kSizes{{"num_query_tokens", 14}, {"num_sequences", 2}, {"num_heads", 3}};

TEST_CASE("a right launch of mla_prefill passes, and what is wrong is found",
          "[kernels][tune][mla_prefill]") {
  const Output output;
  Bench bench(shape_of(output, 0, true));
  const auto problem = bench.problem(kSizes, 300'000);
  REQUIRE(problem->sets() >= 2);
  for (const std::size_t set : {std::size_t{0}, problem->sets() - 1}) {
    problem->poison(set, bench.stream());
    CHECK_FALSE(problem->verify(set, bench.stream()).empty());
    const device::Params params = bench.launch(*problem, set);
    CHECK(params.num_sequences == 2);
    CHECK(params.num_heads == 3);
    REQUIRE(params.work_counters != nullptr);
    Attention(params, output, 0, true).write_all();
    CHECK(problem->verify(set, bench.stream()).empty());
    auto* const out = static_cast<std::uint16_t*>(params.out);
    const auto is_found = [&](auto& place, auto wrong) {
      const auto right = std::exchange(place, wrong);
      const std::string found = problem->verify(set, bench.stream());
      place = right;
      return !found.empty();
    };
    CHECK(is_found(out[0], std::uint16_t{0x4100}));                  // of a row of one key
    CHECK(is_found(out[14 * 3 * 128 - 1], std::uint16_t{0xFFFF}));   // not written
    CHECK(is_found(out[5 * 3 * 128 + 200], std::uint16_t{0x7FC0}));  // NaN
    CHECK(is_found(params.lse[41], params.lse[41] + 0.01F));
    CHECK(is_found(params.work_counters[0], 1U));
    CHECK(problem->verify(set, bench.stream()).empty());
  }
}

TEST_CASE("keys with a rope part of their own, fewer heads of them and other lengths are known",
          "[kernels][tune][mla_prefill]") {
  Output output;
  output.type = f32;
  Bench bench(shape_of(output, 64, false));
  const auto problem = bench.problem({{"num_query_tokens", 6},
                                      {"num_key_tokens", 22},
                                      {"num_sequences", 2},
                                      {"num_heads", 4},
                                      {"num_kv_heads", 2}});
  problem->poison(0, bench.stream());
  const device::Params params = bench.launch(*problem, 0);
  CHECK(params.heads_per_kv == 2);
  CHECK(params.cu_seqlens_k[2] == 22);
  Attention(params, output, 64, false).write_all();
  CHECK(problem->verify(0, bench.stream()).empty());
  // As if the mask were causal.
  Attention(params, output, 64, true).write_all();
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
}

TEST_CASE("codes of mla_prefill and scales of their groups are judged",
          "[kernels][tune][mla_prefill]") {
  for (const std::int64_t group : {0, 64, 128}) {
    const Output output{bf16, true, group, false};
    Bench bench(shape_of(output, 0, true));
    const auto problem = bench.problem(kSizes);
    problem->poison(0, bench.stream());
    const device::Params params = bench.launch(*problem, 0);
    CHECK((params.output_scale == nullptr) == (group != 0));
    Attention(params, output, 0, true).write_all();
    INFO(group << ": " << problem->verify(0, bench.stream()));
    CHECK(problem->verify(0, bench.stream()).empty());
    auto* const codes = static_cast<std::uint8_t*>(params.out);
    const std::uint8_t right = std::exchange(codes[1000], std::uint8_t{0x7F});
    CHECK_FALSE(problem->verify(0, bench.stream()).empty());
    codes[1000] = right;
    if (group == 0) continue;
    params.group_scales[3] *= 1.5F;
    CHECK_FALSE(problem->verify(0, bench.stream()).empty());
  }
}

TEST_CASE("an element of mla_prefill that nobody wrote is found in every head",
          "[kernels][tune][mla_prefill]") {
  const Output output{bf16, true, 0, false};
  Bench bench(shape_of(output, 0, true));
  const auto problem = bench.problem({{"num_query_tokens", 4}, {"num_heads", 9}});
  problem->poison(0, bench.stream());
  const device::Params params = bench.launch(*problem, 0);
  Attention(params, output, 0, true).write_all();
  auto* const codes = static_cast<std::uint8_t*>(params.out);
  for (std::size_t head = 0; head < 9; ++head) {
    std::uint8_t& code = codes[(2 * 9 + head) * 128 + 77];
    const std::uint8_t right = std::exchange(code, std::uint8_t{0xFF});
    CHECK_FALSE(problem->verify(0, bench.stream()).empty());
    code = right;
  }
  CHECK(problem->verify(0, bench.stream()).empty());
}

TEST_CASE("mla_prefill is not tuned for nothing", "[kernels][tune][mla_prefill]") {
  Bench bench(shape_of({}, 0, true));
  CHECK_THROWS_AS(bench.problem({}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 7}, {"num_sequences", 2}}), Error);
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"num_heads", 4}, {"num_kv_heads", 3}}),
                  Error);
  CHECK_NOTHROW(bench.problem({{"num_query_tokens", 8}, {"num_query_rows", 8 * 16}}));
  CHECK_THROWS_AS(bench.problem({{"num_query_tokens", 8}, {"num_query_rows", 8}}), Error);
}

}  // namespace
}  // namespace jit::test
