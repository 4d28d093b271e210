// The text of the template itself, run on the host lane by lane and judged as on a GPU: indices,
// strides, exchanges, rows without context, padding. What only a GPU has (its approximations, its
// conversions, the order of memory) is for tests/gpu.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "gpu/merge_case.hpp"
#include "gpu/merge_group_plan.hpp"
#include "merge_attn_states/merge_attn_states.cuh"
#include "quantize_e4m3_groups/quantize_e4m3_groups.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::merge_attn_states;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <class Type, int kHeadSize, int kGroup, bool kUE8M0, bool kHasLse>
struct EmulatedConfig {
  using INPUT_TYPE = Type;
  static constexpr int HEAD_SIZE = kHeadSize;
  static constexpr bool USE_FP8_OUTPUT = true;
  static constexpr int FP8_GROUP_SIZE = kGroup;
  static constexpr bool USE_UE8M0_SCALES = kUE8M0;
  static constexpr bool HAS_OUTPUT_LSE = kHasLse;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = false;
  // Not whole rows of 192 or 576 elements: some lanes have nothing to do.
  static constexpr int THREADS = kHeadSize * static_cast<int>(sizeof(Type)) > 2048 ? 256 : 128;
  static constexpr bool KEEP_IN_L1 = false;
};
// NOLINTEND(readability-identifier-naming)

Image guarded(std::span<const std::byte> payload) {
  Image image{std::vector<std::byte>(payload.size() + 2 * kGuardBytes, kGuardByte), kGuardBytes};
  std::copy(payload.begin(), payload.end(), image.payload().begin());
  return image;
}

MergeOutcome before_launch(const MergeCase& merge, const MergeInputs& inputs) {
  const auto poison = [&](std::size_t bytes) {
    return guarded(std::vector<std::byte>(bytes, merge.poison));
  };
  return {guarded(inputs.prefix),
          guarded(inputs.suffix),
          guarded(std::as_bytes(std::span(inputs.prefix_lse))),
          guarded(std::as_bytes(std::span(inputs.suffix_lse))),
          poison(merge.output_bytes()),
          poison(merge.rows() * sizeof(float)),
          poison(merge.scale_bytes())};
}

template <class T>
T* address_of(Image& image) {
  return reinterpret_cast<T*>(image.payload().data());
}

device::Params params_of(const MergeCase& merge, MergeOutcome& memory) {
  device::Params params{};
  params.prefix_output = address_of<void>(memory.prefix);
  params.suffix_output = address_of<void>(memory.suffix);
  params.prefix_lse = address_of<float>(memory.prefix_lse);
  params.suffix_lse = address_of<float>(memory.suffix_lse);
  params.output = address_of<void>(memory.output);
  params.output_lse = address_of<float>(memory.output_lse);
  params.num_tokens = merge.tokens;
  params.num_context_tokens = merge.context_tokens();
  params.input_head_stride = merge.input_stride;
  params.output_head_stride = merge.output_stride;
  params.num_heads = device::make_divisor(merge.heads);
  params.output_group_scales = address_of<float>(memory.scales);
  params.output_scale_token_stride = merge.scale_token_stride();
  params.output_scale_group_stride = merge.scale_group_stride();
  return params;
}

template <class Config>
void launch(const device::Params& params) {
  const device::Tile tile{Config::HEAD_SIZE, sizeof(typename Config::INPUT_TYPE), Config::THREADS};
  const unsigned blocks = device::blocks_of(tile, params.num_tokens, params.num_heads.divisor);
  for (unsigned block = 0; block < blocks; ++block) {
    Warp::block_index().x = block;
    for (unsigned thread = 0; thread < tile.threads; thread += kLanes) {
      Warp::run(thread, [&] { device::run<Config>(params); });
    }
  }
}

using Launch = void (*)(const device::Params&);

template <class Type, int kHeadSize, int kGroup>
Launch pick_kind(const MergeCase& merge) {
  if (merge.ue8m0) {
    return merge.has_lse ? launch<EmulatedConfig<Type, kHeadSize, kGroup, true, true>>
                         : launch<EmulatedConfig<Type, kHeadSize, kGroup, true, false>>;
  }
  return merge.has_lse ? launch<EmulatedConfig<Type, kHeadSize, kGroup, false, true>>
                       : launch<EmulatedConfig<Type, kHeadSize, kGroup, false, false>>;
}

// nullptr: a size that is not emulated.
template <class Type>
Launch pick_size(const MergeCase& merge) {
  const bool small = merge.group == 64;
  switch (merge.head_size) {
    case 64: return pick_kind<Type, 64, 64>(merge);
    case 128: return small ? pick_kind<Type, 128, 64>(merge) : pick_kind<Type, 128, 128>(merge);
    case 192: return pick_kind<Type, 192, 64>(merge);
    case 512: return small ? pick_kind<Type, 512, 64>(merge) : pick_kind<Type, 512, 128>(merge);
    case 576: return pick_kind<Type, 576, 64>(merge);
    default: return nullptr;
  }
}

Launch pick(const MergeCase& merge) {
  if (merge.type == f32) return pick_size<float>(merge);
  return merge.type == f16 ? pick_size<cubinet::f16>(merge) : pick_size<cubinet::bf16>(merge);
}

constexpr std::uint64_t kMaxElements = 10'000;

TEST_CASE("the template's text is right on the host for calls of the plan of groups",
          "[kernels][emulation]") {
  std::size_t done = 0;
  std::uint64_t elements = 0;
  std::uint64_t identical = 0;
  for (const MergeCase& merge : varied_group_cases(36518)) {
    const Launch launch = pick(merge);
    if (launch == nullptr || merge.elements() > kMaxElements) continue;
    const MergeInputs inputs = make_inputs(merge);
    MergeOutcome memory = before_launch(merge, inputs);
    CAPTURE(merge.text());
    REQUIRE_NOTHROW(launch(params_of(merge, memory)));
    const Verdict verdict = judge(merge, inputs, memory);
    CAPTURE(verdict.wrong);
    CHECK(verdict.wrong.empty());
    elements += verdict.check.elements;
    identical += verdict.check.identical;
    ++done;
  }
  CHECK(done > 100);
  CHECK(static_cast<double>(identical) > 0.995 * static_cast<double>(elements));
}

// NOLINTBEGIN(readability-identifier-naming)
struct QuantizerConfig {
  using INPUT_TYPE = cubinet::bf16;
  static constexpr int GROUP_SIZE = 64;
  static constexpr bool USE_UE8M0_SCALES = false;
  static constexpr unsigned THREADS = 128;
};
// NOLINTEND(readability-identifier-naming)

TEST_CASE("the benchmark's quantiser gives what the kernel gives where nothing is merged",
          "[kernels][emulation]") {
  MergeCase merge;
  merge.group = 64;
  merge.tokens = 7;
  merge.heads = 5;
  merge.head_size = merge.input_stride = merge.output_stride = 128;
  merge.context = 0;
  merge.pattern = LsePattern::kGroups;
  const MergeInputs inputs = make_inputs(merge);
  MergeOutcome memory = before_launch(merge, inputs);
  pick(merge)(params_of(merge, memory));

  MergeOutcome pair = before_launch(merge, inputs);
  const cubinet::quantize_e4m3_groups::Params params{
      address_of<void>(pair.suffix), address_of<void>(pair.output), address_of<float>(pair.scales),
      inputs.suffix.size() / 16};
  const auto threads = QuantizerConfig::THREADS;
  for (unsigned block = 0; block < (params.num_packs + threads - 1) / threads; ++block) {
    Warp::block_index().x = block;
    for (unsigned thread = 0; thread < threads; thread += kLanes) {
      Warp::run(thread, [&] { cubinet::quantize_e4m3_groups::run<QuantizerConfig>(params); });
    }
  }
  CHECK((pair.output.bytes == memory.output.bytes));
  CHECK((pair.scales.bytes == memory.scales.bytes));
}

}  // namespace
}  // namespace jit::test
