// The tuning problem of merge_attn_states on a fake device, whose memory is the host's: what the
// template's own text writes is right, and whatever else is there is found.
#include <algorithm>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/emulation/warp.hpp"
#include "kernels/merge_attn_states_tuning.hpp"
#include "kernels/tuning_bench.hpp"
#include "merge_attn_states/merge_attn_states.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::merge_attn_states;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
struct GroupConfig {
  using INPUT_TYPE = cubinet::bf16;
  static constexpr int HEAD_SIZE = 128;
  static constexpr bool USE_FP8_OUTPUT = true;
  static constexpr int FP8_GROUP_SIZE = 64;
  static constexpr bool USE_UE8M0_SCALES = false;
  static constexpr bool HAS_OUTPUT_LSE = true;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = false;
  static constexpr int THREADS = 128;
  static constexpr bool KEEP_IN_L1 = false;
};
struct Bf16Config : GroupConfig {
  static constexpr bool USE_FP8_OUTPUT = false;
  static constexpr int FP8_GROUP_SIZE = 0;
};
struct HalfConfig : Bf16Config {
  using INPUT_TYPE = cubinet::f16;
  static constexpr bool HAS_OUTPUT_LSE = false;
};
struct FloatConfig : Bf16Config {
  using INPUT_TYPE = float;
};
struct FixedScaleConfig : GroupConfig {
  static constexpr int FP8_GROUP_SIZE = 0;
};
struct FloatFixedScaleConfig : FixedScaleConfig {
  using INPUT_TYPE = float;
  static constexpr bool HAS_OUTPUT_LSE = false;
};
struct Ue8m0Config : GroupConfig {
  static constexpr bool USE_UE8M0_SCALES = true;
  static constexpr int FP8_GROUP_SIZE = 128;
};
struct FloatGroupConfig : GroupConfig {
  using INPUT_TYPE = float;
};
// NOLINTEND(readability-identifier-naming)

class Bench : public TuningBench {
 public:
  Bench() : TuningBench(sizeof(device::Params), {{"THREADS", 128}}) {}

  std::unique_ptr<TuningProblem> problem(const std::vector<Constant>& shape,
                                         const std::vector<Size>& sizes,
                                         std::size_t rotate_bytes = 0) {
    TuningProblemRequest request;
    request.shape = shape;
    request.sizes = sizes;
    request.seed = 7;
    request.rotate_bytes = rotate_bytes;
    return make_merge_attn_states_problem(driver(), request);
  }
  device::Params launch(TuningProblem& problem, std::size_t set) {
    return TuningBench::launch<device::Params>(problem, set);
  }
};

template <class Config = GroupConfig>
void emulate(const device::Params& params) {
  const device::Tile tile{Config::HEAD_SIZE, sizeof(typename Config::INPUT_TYPE), Config::THREADS};
  const unsigned blocks = device::blocks_of(tile, params.num_tokens, params.num_heads.divisor);
  for (unsigned block = 0; block < blocks; ++block) {
    Warp::block_index().x = block;
    for (unsigned thread = 0; thread < tile.threads; thread += kLanes) {
      Warp::run(thread, [&] { device::run<Config>(params); });
    }
  }
}

const std::vector<Constant> kGroups{{"HEAD_SIZE", 128},       {"INPUT_TYPE", bf16},
                                    {"USE_FP8_OUTPUT", true}, {"FP8_GROUP_SIZE", 64},
                                    {"HAS_OUTPUT_LSE", true}, {"USE_UE8M0_SCALES", false}};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a right launch passes, and each output that is wrong is found", "[kernels][tune]") {
  Bench bench;
  const auto problem = bench.problem(
      kGroups, {{"num_tokens", 6}, {"num_heads", 3}, {"num_context_tokens", 4}}, 20'000);
  REQUIRE(problem->sets() == 2);
  for (const std::size_t set : {0U, 1U}) {
    problem->poison(set, bench.stream());
    CHECK(problem->verify(set, bench.stream()) == "nobody wrote element 0 of the output");
    const device::Params params = bench.launch(*problem, set);
    CHECK(params.num_tokens == 6);
    CHECK(params.num_context_tokens == 4);
    emulate(params);
    CHECK(problem->verify(set, bench.stream()).empty());

    const auto is_found = [&](auto& value, auto wrong, std::string_view what) {
      const auto right = value;
      value = wrong;
      const std::string found = problem->verify(set, bench.stream());
      CAPTURE(found, what);
      CHECK(has(found, what));
      value = right;
    };
    auto* const codes = static_cast<std::uint8_t*>(params.output);
    is_found(codes[5 * 3 * 128 + 77], static_cast<std::uint8_t>(codes[5 * 3 * 128 + 77] ^ 0x10),
             "token 5, head 0");
    is_found(codes[1000], std::uint8_t{0xFF}, "nobody wrote element 1000");
    is_found(params.output_group_scales[9], params.output_group_scales[9] * 1.01F, "scale");
    is_found(params.output_lse[7], params.output_lse[7] + 1, "LSE");
    CHECK(problem->verify(set, bench.stream()).empty());
  }
}

template <class Config>
std::vector<Constant> shape_of() {
  using Input = typename Config::INPUT_TYPE;
  const DType type = std::is_same_v<Input, float>          ? f32
                     : std::is_same_v<Input, cubinet::f16> ? f16
                                                           : bf16;
  return {{"HEAD_SIZE", 128},
          {"INPUT_TYPE", type},
          {"USE_FP8_OUTPUT", Config::USE_FP8_OUTPUT},
          {"FP8_GROUP_SIZE", Config::FP8_GROUP_SIZE},
          {"HAS_OUTPUT_LSE", Config::HAS_OUTPUT_LSE},
          {"USE_UE8M0_SCALES", Config::USE_UE8M0_SCALES}};
}

TEMPLATE_TEST_CASE("in every configuration a right launch passes and a wrong one does not",
                   "[kernels][tune]", Bf16Config, HalfConfig, FloatConfig, FixedScaleConfig,
                   FloatFixedScaleConfig, GroupConfig, Ue8m0Config, FloatGroupConfig) {
  Bench bench;
  const auto problem = bench.problem(
      shape_of<TestType>(), {{"num_tokens", 7}, {"num_heads", 3}, {"num_context_tokens", 5}}, 1);
  problem->poison(0, bench.stream());
  const device::Params params = bench.launch(*problem, 0);
  emulate<TestType>(params);
  CHECK(problem->verify(0, bench.stream()).empty());
  const auto is_found = [&](void* what, std::size_t bytes, const auto& spoil) {
    std::vector<std::byte> right(bytes);
    std::memcpy(right.data(), what, bytes);
    spoil(static_cast<std::byte*>(what));
    const bool found = !problem->verify(0, bench.stream()).empty();
    std::memcpy(what, right.data(), bytes);
    return found;
  };
  const auto poisoned = [](std::size_t bytes) {
    return [bytes](std::byte* what) { std::memset(what, 0xFF, bytes); };
  };
  const auto flipped = [](std::size_t byte, std::byte bit) {
    return [byte, bit](std::byte* what) { what[byte] ^= bit; };
  };
  constexpr std::size_t kElement =
      TestType::USE_FP8_OUTPUT ? 1 : sizeof(typename TestType::INPUT_TYPE);
  auto* const output = static_cast<std::byte*>(params.output);
  for (const std::size_t element : {0U, 5U * 3 * 128 + 9, 7U * 3 * 128 - 1}) {
    std::byte* const at = output + element * kElement;
    CHECK(is_found(at, kElement, poisoned(kElement)));
    // Its sign, and a bit of its exponent.
    CHECK(is_found(at, kElement, flipped(kElement - 1, std::byte{0x80})));
    CHECK(is_found(at, kElement, flipped(kElement - 1, std::byte{0x10})));
  }
  // Two rows in each other's place.
  CHECK(is_found(output, 2 * 128 * kElement, [](std::byte* rows) {
    std::swap_ranges(rows, rows + 128 * kElement, rows + 128 * kElement);
  }));
  if constexpr (TestType::HAS_OUTPUT_LSE) {
    for (const std::size_t row : {0U, 20U}) {
      float* const lse = params.output_lse + row;
      CHECK(is_found(lse, sizeof *lse, poisoned(sizeof *lse)));
      CHECK(is_found(lse, sizeof *lse, [&](std::byte*) { *lse = *lse * 1.001F + 0.001F; }));
    }
  }
  if constexpr (TestType::FP8_GROUP_SIZE != 0) {
    constexpr std::size_t kGroupsOfRow = 128 / TestType::FP8_GROUP_SIZE;
    for (const std::size_t group : {std::size_t{0}, 7 * 3 * kGroupsOfRow - 1}) {
      float* const scale = params.output_group_scales + group;
      CHECK(is_found(scale, sizeof *scale, poisoned(sizeof *scale)));
      CHECK(is_found(scale, sizeof *scale, [&](std::byte*) { *scale *= 2; }));
      CHECK(is_found(scale, sizeof *scale, [&](std::byte*) { *scale *= 1.001F; }));
    }
  }
}

TEST_CASE("of a large problem some tokens are judged, and every element was written",
          "[kernels][tune]") {
  Bench bench;
  const std::vector<Constant> shape{{"HEAD_SIZE", 128}, {"INPUT_TYPE", f32}};
  constexpr std::size_t kTokens = 1000;
  constexpr std::size_t kRow = std::size_t{8} * 128;
  const auto problem =
      bench.problem(shape, {{"num_tokens", kTokens}, {"num_heads", 8}, {"num_context_tokens", 0}});
  CHECK(problem->sets() == 1);
  CHECK(problem->bytes() == 4 * (3 * kTokens * kRow + 2 * kTokens * 8));
  const device::Params params = bench.launch(*problem, 0);
  // Without a prefix the suffix is copied.
  std::memcpy(params.output, params.suffix_output, kTokens * kRow * sizeof(float));
  CHECK(problem->verify(0, bench.stream()).empty());
  auto* const values = static_cast<float*>(params.output);
  for (const std::size_t token : {std::size_t{0}, kTokens - 1}) {
    float& value = values[token * kRow + 5];
    value += 1;
    CHECK(has(problem->verify(0, bench.stream()), "of 262144 elements"));
    value = static_cast<const float*>(params.suffix_output)[token * kRow + 5];
  }
  // Other tokens each time: half of them wrong are found.
  for (std::size_t token = 1; token < kTokens; token += 2) values[token * kRow] += 1;
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
}

TEST_CASE("there are as many sets as rotation takes, up to the most", "[kernels][tune]") {
  Bench bench;
  const std::vector<Size> sizes{{"num_tokens", 1}, {"num_heads", 1}};
  CHECK(bench.problem(kGroups, sizes, 1)->sets() == 1);
  CHECK(bench.problem(kGroups, sizes, std::size_t{1} << 30)->sets() ==
        TuningProblemRequest::kMaxSets);
  const auto problem = bench.problem(kGroups, sizes, std::size_t{1} << 30);
  const device::Params first = bench.launch(*problem, 0);
  const device::Params last = bench.launch(*problem, problem->sets() - 1);
  CHECK(first.prefix_output != last.prefix_output);
  CHECK(first.output != last.output);
  CHECK(std::memcmp(first.prefix_output, last.prefix_output, 256) == 0);
  CHECK_THROWS_AS(bench.problem(kGroups, {{"num_tokens", 0}}), Error);
}

}  // namespace
}  // namespace jit::test
