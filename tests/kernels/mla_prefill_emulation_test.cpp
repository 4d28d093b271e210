// The whole kernel by its own text on the host, block by block: every barrier, copy, product and
// store, with copies and products as early and as late as they may be. What only a GPU has (its
// approximations and conversions, registers, the memory model) is for tests/gpu.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "machine.hpp"  // first: what device code needs

// Dynamic shared memory is declared with it, not defined.
#undef __shared__
#define __shared__

#include "kernels/reference/attention_judge.hpp"
#include "mla_prefill/mla_prefill.cuh"

namespace cubinet::mla_prefill {
// What run() has as its dynamic shared memory.
alignas(16) unsigned char dynamic_shared_memory[232448];
}  // namespace cubinet::mla_prefill

namespace jit::test {
namespace {

namespace device = cubinet::mla_prefill;
using reference::AttentionProblem;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
struct Mla {
  static constexpr int kHeadDim = 192;
  static constexpr int kHeadDimV = 128;
  static constexpr int kRopeDim = 0;
  static constexpr bool CAUSAL = true;
  using OUTPUT_TYPE = float;
  static constexpr bool USE_FP8_OUTPUT = false;
  static constexpr int FP8_GROUP_SIZE = 0;
  static constexpr bool USE_UE8M0_SCALES = false;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = true;
  static constexpr int kNumThreads = 384;
  static constexpr int kBlockN = 128;
  static constexpr int kNumStages = 2;
  static constexpr bool TAKE_TURNS = false;
};
struct Turns : Mla {
  static constexpr bool TAKE_TURNS = true;
};
struct Rope : Mla {
  static constexpr int kRopeDim = 64;
  static constexpr int kNumThreads = 256;
  static constexpr int kBlockN = 80;
};
struct Context : Mla {
  static constexpr bool CAUSAL = false;
  static constexpr int kNumThreads = 256;
  static constexpr int kBlockN = 112;
};
struct Small : Mla {
  static constexpr int kHeadDim = 64;
  static constexpr int kHeadDimV = 64;
  static constexpr int kNumStages = 3;
};
struct Wide : Mla {
  static constexpr int kHeadDim = 128;
  static constexpr int kBlockN = 160;
  static constexpr bool TAKE_TURNS = true;
};
// NOLINTEND(readability-identifier-naming)

struct Case {
  std::vector<int> queries;
  std::vector<int> keys;
  int heads = 2;
  int heads_per_kv = 1;
  unsigned blocks = 2;
  bool has_counters = true;
  float query_factor = 1.0F;
};

std::vector<int> places_of(const std::vector<int>& lengths) {
  std::vector<int> places{0};
  for (const int length : lengths) places.push_back(places.back() + length);
  return places;
}

std::vector<std::uint16_t> random_bf16(std::mt19937_64& random, std::size_t count,
                                       float factor = 1.0F) {
  std::normal_distribution<float> normal(0.0F, factor);
  std::vector<std::uint16_t> values(count);
  for (auto& value : values) {
    value = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(normal(random)) >> 16);
  }
  return values;
}

// Operands, results and parameters of one launch.
template <class C>
class Launch {
 public:
  Launch(const Case& given, std::mt19937_64& random)
      : given_(given),
        query_places_(places_of(given.queries)),
        key_places_(places_of(given.keys)),
        q_(random_bf16(random, count(queries(), given.heads, C::kHeadDim), given.query_factor)),
        k_(random_bf16(random, count(keys(), kv_heads(), kKeyRow))),
        v_(random_bf16(random, count(keys(), kv_heads(), kValueRow))),
        rope_(random_bf16(random, count(keys(), 1, 64))),
        out_(count(queries(), given.heads, C::kHeadDimV), NAN),
        lse_(count(queries(), given.heads, 1), NAN) {
    params_.q = map_of(0, heads_spec(q_, queries(), given.heads, C::kHeadDim, C::kHeadDim));
    params_.k = map_of(1, heads_spec(k_, keys(), kv_heads(), kKeyRow, kKeyRow));
    params_.v = map_of(2, heads_spec(v_, keys(), kv_heads(), kValueRow, C::kHeadDimV));
    TensorMapSpec rope = heads_spec(rope_, keys(), 1, 64, 64);
    rope.rank = 2;
    params_.k_rope = map_of(3, rope);
    specs_[0].box[1] = (C::kNumThreads - 128) / 2;
    params_.cu_seqlens_q = query_places_.data();
    params_.cu_seqlens_k = key_places_.data();
    params_.out = out_.data();
    params_.lse = lse_.data();
    params_.work_counters = given.has_counters ? counters_ : nullptr;
    params_.out_token_stride = given.heads * C::kHeadDimV;
    params_.out_head_stride = C::kHeadDimV;
    params_.lse_head_stride = queries();
    params_.softmax_scale_log2 = 1.4426950408889634F / std::sqrt(static_cast<float>(C::kHeadDim));
    params_.num_sequences = static_cast<int>(given.queries.size());
    params_.num_heads = given.heads;
    params_.heads_per_kv = given.heads_per_kv;
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Keys and values of this sequence become NaN.
  void poison(std::size_t sequence) {
    const auto fill = [&](std::vector<std::uint16_t>& values, int row) {
      const auto begin = values.begin() + key_places_[sequence] * row;
      std::fill(begin, begin + given_.keys[sequence] * row, std::uint16_t{0x7FC0});
    };
    fill(k_, kv_heads() * kKeyRow);
    fill(v_, kv_heads() * kValueRow);
    fill(rope_, 64);
  }

  void run(const Machine::Timing& timing) {
    shared_memory() = device::dynamic_shared_memory;
    grid_size().x = given_.blocks;
    for (unsigned block = 0; block < given_.blocks; ++block) {
      std::fill(std::begin(device::dynamic_shared_memory), std::end(device::dynamic_shared_memory),
                static_cast<unsigned char>(0xFF));
      Machine machine(timing);
      Warp::block_index().x = block;
      Block::run(C::kNumThreads, [&] { device::run<C>(params_); });
    }
  }

  reference::AttentionCheck check() const {
    AttentionProblem problem;
    problem.num_sequences = static_cast<int>(given_.queries.size());
    problem.num_tokens = queries();
    problem.num_heads = given_.heads;
    problem.num_kv_heads = kv_heads();
    problem.head_dim = C::kHeadDim;
    problem.head_dim_v = C::kHeadDimV;
    problem.causal = C::CAUSAL;
    problem.q = {q_.data(), given_.heads * C::kHeadDim, C::kHeadDim};
    problem.cu_seqlens_q = query_places_.data();
    reference::AttentionKeys parts{{k_.data(), kv_heads() * kKeyRow, kKeyRow},
                                   {v_.data(), kv_heads() * kValueRow, kValueRow},
                                   {},
                                   key_places_.data()};
    if (C::kRopeDim != 0) parts.rope = {rope_.data(), 64, 0};
    problem.keys.push_back(parts);
    reference::AttentionOutput output;
    output.type = f32;
    output.output = out_.data();
    output.token_stride = given_.heads * C::kHeadDimV;
    output.head_stride = C::kHeadDimV;
    output.lse = lse_.data();
    output.lse_head_stride = queries();
    return reference::check_attention(problem, reference::compute_attention(problem), output);
  }
  const std::vector<float>& out() const { return out_; }
  const std::vector<float>& lse() const { return lse_; }
  bool counters_are_back() const { return counters_[0] == 0 && counters_[1] == 0; }

 private:
  static constexpr int kKeyRow = C::kHeadDim - C::kRopeDim;
  static constexpr int kValueRow = C::kHeadDimV + 64;  // a part of a larger row

  static std::size_t count(int a, int b, int c) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c);
  }
  int queries() const { return query_places_.back(); }
  int keys() const { return key_places_.back(); }
  int kv_heads() const { return given_.heads / given_.heads_per_kv; }

  // As params.h has it: heads of `elements` in rows of `row`.
  static TensorMapSpec heads_spec(const std::vector<std::uint16_t>& values, int tokens, int heads,
                                  int row, int elements) {
    const auto at_least_one = [](int size) {
      return static_cast<std::uint64_t>(std::max(size, 1));
    };
    TensorMapSpec spec;
    spec.type = bf16;
    spec.rank = 4;
    spec.address = values.data();
    spec.sizes = {64, at_least_one(tokens), at_least_one(elements / 64), at_least_one(heads)};
    spec.strides = {static_cast<std::uint64_t>(heads * row) * 2, 128,
                    static_cast<std::uint64_t>(row) * 2};
    spec.box = {64, C::kBlockN, static_cast<std::uint32_t>(elements / 64), 1};
    spec.swizzle = Swizzle::k128Bytes;
    return spec;
  }
  cubinet::TensorMap map_of(std::size_t number, const TensorMapSpec& spec) {
    specs_.at(number) = spec;
    cubinet::TensorMap map{};
    map.words[1] = std::bit_cast<std::uintptr_t>(&specs_[number]);
    return map;
  }

  Case given_;
  std::vector<int> query_places_;
  std::vector<int> key_places_;
  std::vector<std::uint16_t> q_;
  std::vector<std::uint16_t> k_;
  std::vector<std::uint16_t> v_;
  std::vector<std::uint16_t> rope_;
  std::vector<float> out_;
  std::vector<float> lse_;
  unsigned counters_[2] = {0, 0};
  std::array<TensorMapSpec, 4> specs_;
  device::Params params_{};
};

// Values of `launch` that are not those of `clean`, or NaN in this sequence.
template <class C>
int rows_amiss(const Case& given, std::size_t poisoned, const Launch<C>& clean,
               const Launch<C>& launch) {
  const auto places = places_of(given.queries);
  int amiss = 0;
  for (std::size_t i = 0; i < launch.out().size(); ++i) {
    const auto token = static_cast<int>(i / C::kHeadDimV / static_cast<unsigned>(given.heads));
    const bool is_nan = token >= places[poisoned] && token < places[poisoned + 1];
    amiss += (is_nan ? std::isnan(launch.out()[i]) : launch.out()[i] == clean.out()[i]) ? 0 : 1;
  }
  for (std::size_t i = 0; i < launch.lse().size(); ++i) {
    const auto token = static_cast<int>(i) % places.back();
    const bool is_nan = token >= places[poisoned] && token < places[poisoned + 1];
    amiss += is_nan || launch.lse()[i] == clean.lse()[i] ? 0 : 1;
  }
  return amiss;
}

template <class C>
void check_always(const Case& given) {
  std::mt19937_64 random(Catch::getSeed());
  for (const bool late_copies : {false, true}) {
    for (const bool late_products : {false, true}) {
      CAPTURE(given.queries, given.keys, given.heads, late_copies, late_products);
      Launch<C> launch(given, random);
      REQUIRE_NOTHROW(launch.run({late_copies, late_products}));
      const auto check = launch.check();
      CAPTURE(check.text());
      CHECK(check.passed());
      CHECK(launch.counters_are_back());
    }
  }
}

TEST_CASE("mla_prefill's text gives what attention is, whenever copies and products happen",
          "[kernels][emulation]") {
  check_always<Mla>({{300, 5}, {300, 5}, 2, 1, 2, true});
  check_always<Mla>({{100, 64}, {102, 449}, 1, 1, 1, true, 8.0F});
  // The last row of a warpgroup sees one key more than half a tile.
  check_always<Mla>({{130, 64}, {131, 65}, 1, 1, 1, true});
  check_always<Turns>({{257, 128}, {257, 128}, 1, 1, 1, false});
  check_always<Rope>({{130, 1, 100}, {130, 1, 290}, 2, 2, 2, true});
  check_always<Context>({{70, 9, 140}, {230, 0, 112}, 2, 1, 3, false, 64.0F});
  check_always<Small>({{1, 0, 63, 200}, {1, 7, 190, 200}, 4, 2, 3, true});
  check_always<Wide>({{200, 60}, {150, 420}, 1, 1, 1, true});
}

TEST_CASE("mla_prefill's text keeps sequences apart", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  // The second one's last keys are cleared beside the scores of those before, the others' at once.
  const Case given{{70, 100, 20}, {70, 300, 20}, 1, 1, 1, true};
  std::mt19937_64 same = random;
  Launch<Mla> clean(given, same);
  REQUIRE_NOTHROW(clean.run({}));
  for (const std::size_t poisoned : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    for (const bool late : {false, true}) {
      same = random;
      Launch<Mla> launch(given, same);
      launch.poison(poisoned);
      REQUIRE_NOTHROW(launch.run({late, late}));
      CAPTURE(poisoned, late);
      CHECK(rows_amiss(given, poisoned, clean, launch) == 0);
    }
  }
}

// One key decides; its weight is rounded, as it is no longer 1 exactly.
TEST_CASE("mla_prefill's text bears products as large as they may be", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  Launch<Mla> launch({{90}, {300}, 1, 1, 1, true, 0x1p24F}, random);
  REQUIRE_NOTHROW(launch.run({}));
  const auto check = launch.check();
  CAPTURE(check.text());
  CHECK(check.elements == 90U * Mla::kHeadDimV);
  CHECK(check.wrong + check.wrong_rows + check.wrong_lse == 0);
}

// Of 100 queries the last 30 see keys, in one block with the others.
TEST_CASE("mla_prefill's text gives 0 and -infinity to rows without keys, whatever the values",
          "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  Launch<Mla> launch({{100}, {30}, 1, 1, 1, true}, random);
  launch.poison(0);
  REQUIRE_NOTHROW(launch.run({}));
  for (std::size_t token = 0; token < 100; ++token) {
    const float* const row = &launch.out()[token * Mla::kHeadDimV];
    const bool sees = token >= 70;
    CAPTURE(token);
    CHECK(std::all_of(row, row + Mla::kHeadDimV,
                      [&](float value) { return sees ? std::isnan(value) : value == 0.0F; }));
    if (!sees) CHECK(launch.lse()[token] == -INFINITY);
  }
}

}  // namespace
}  // namespace jit::test
