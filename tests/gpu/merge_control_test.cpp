// That the check finds what is wrong, and what fused and unfused FP8 have in common.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <functional>

#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

Runtime& runtime() {
  static Folder* const folder = new Folder;
  static Runtime* const made = new Runtime(options_for(folder->path() / "cache"));
  return *made;
}

MergeCase ordinary_case(DType type, std::optional<float> scale) {
  MergeCase merge;
  merge.type = type;
  merge.scale = scale;
  merge.tokens = 17;
  merge.heads = 8;
  merge.head_size = 64;
  merge.input_stride = merge.output_stride = 96;
  merge.seed = run_seed();
  return merge;
}

// Every way to be wrong that the grid is there to find.
struct Sabotage {
  const char* name;
  std::function<void(const MergeCase&, const MergeInputs&, MergeOutcome&)> apply;
};

// True where both sides pull the same way: there the result's own step is the tolerance.
bool sides_agree(const MergeCase& merge, const MergeInputs& inputs, std::uint32_t element) {
  const double prefix = reference::load_element(merge.type, inputs.prefix.data(), element);
  const double suffix = reference::load_element(merge.type, inputs.suffix.data(), element);
  return std::isfinite(prefix * suffix) && prefix * suffix > 0.01;
}

void move_two_steps(const MergeCase& merge, Image& output, std::uint32_t element) {
  std::byte* const bytes = output.payload().data();
  if (merge.fp8()) {
    bytes[element] = static_cast<std::byte>(std::to_integer<std::uint8_t>(bytes[element]) - 2U);
  } else if (merge.type == f32) {
    const double value = reference::load_element(f32, bytes, element);
    reference::store_element(f32, bytes, element, value + 1e-4);
  } else {
    std::uint16_t code = 0;
    std::memcpy(&code, bytes + element * sizeof(code), sizeof(code));
    code = static_cast<std::uint16_t>(code + 2);
    std::memcpy(bytes + element * sizeof(code), &code, sizeof(code));
  }
}

// Three elements: one may be a step off to the other side and land within the tolerance.
void move_elements(const MergeCase& merge, const MergeInputs& inputs, MergeOutcome& outcome) {
  int moved = 0;
  for (std::uint32_t i = 0; i < merge.head_size && moved < 3; ++i) {
    if (!sides_agree(merge, inputs, i)) continue;
    move_two_steps(merge, outcome.output, i);
    ++moved;
  }
  REQUIRE(moved == 3);
}

void forget_last_row(const MergeCase& merge, const MergeInputs&, MergeOutcome& outcome) {
  auto bytes = outcome.output.payload();
  const std::size_t row_bytes = merge.head_size * (merge.fp8() ? 1 : bytes_of(merge.type));
  std::fill(bytes.end() - static_cast<std::ptrdiff_t>(row_bytes), bytes.end(), merge.poison);
}

void move_lse(const MergeCase&, const MergeInputs&, MergeOutcome& outcome) {
  auto bytes = outcome.output_lse.payload();
  float lse = 0;
  std::memcpy(&lse, bytes.data(), sizeof(lse));
  lse += 1e-4F * std::max(1.0F, std::abs(lse));
  std::memcpy(bytes.data(), &lse, sizeof(lse));
}

void swap_rows(const MergeCase& merge, const MergeInputs&, MergeOutcome& outcome) {
  auto bytes = outcome.output.payload();
  const std::size_t element = merge.fp8() ? 1 : bytes_of(merge.type);
  const auto second = bytes.begin() + static_cast<std::ptrdiff_t>(merge.output_stride * element);
  std::swap_ranges(bytes.begin(),
                   bytes.begin() + static_cast<std::ptrdiff_t>(merge.head_size * element), second);
}

void write_padding(const MergeCase& merge, const MergeInputs&, MergeOutcome& outcome) {
  outcome.output.payload()[merge.head_size * (merge.fp8() ? 1 : bytes_of(merge.type))] ^=
      std::byte{1};
}

const std::vector<Sabotage>& sabotages() {
  static const std::vector<Sabotage> all{
      {"elements two steps away", move_elements},
      {"the last row not written", forget_last_row},
      {"an LSE off by 1e-4", move_lse},
      {"two rows exchanged", swap_rows},
      {"padding written", write_padding},
      {"one byte before the output written",
       [](const MergeCase&, const MergeInputs&, MergeOutcome& o) {
         o.output.bytes[o.output.front_bytes - 1] ^= std::byte{1};
       }},
      {"one byte past the LSE written",
       [](const MergeCase&, const MergeInputs&, MergeOutcome& o) {
         o.output_lse.bytes[o.output_lse.bytes.size() - kGuardBytes] ^= std::byte{1};
       }},
      {"an input written", [](const MergeCase&, const MergeInputs&,
                              MergeOutcome& o) { o.suffix.payload()[3] ^= std::byte{1}; }},
  };
  return all;
}

// ---- Scales of groups ----

void change_scale(MergeOutcome& outcome, std::uint64_t index,
                  const std::function<float(float)>& to) {
  std::byte* const place = outcome.scales.payload().data() + index * sizeof(float);
  float scale = 0;
  std::memcpy(&scale, place, sizeof(scale));
  scale = to(scale);
  std::memcpy(place, &scale, sizeof(scale));
}

// Rows whose token has no context are copies, whose scales are exact.
std::uint64_t last_scale(const MergeCase& merge) {
  return (merge.tokens - 1) * merge.scale_token_stride() +
         (merge.scales_per_token() - 1) * merge.scale_group_stride();
}

const std::vector<Sabotage>& scale_sabotages() {
  static const std::vector<Sabotage> all{
      {"the scales of two groups exchanged",
       [](const MergeCase& m, const MergeInputs&, MergeOutcome& o) {
         auto bytes = o.scales.payload();
         const auto at = static_cast<std::ptrdiff_t>(m.scale_group_stride() * sizeof(float));
         std::swap_ranges(bytes.begin(), bytes.begin() + 4, bytes.begin() + at);
         // Power-of-two scales may well be the same.
         if (m.ue8m0) change_scale(o, 0, [](float scale) { return scale * 2; });
       }},
      {"a scale rounded down",
       [](const MergeCase&, const MergeInputs&, MergeOutcome& o) {
         change_scale(o, 0, [](float s) { return std::ldexp(s, -1); });
       }},
      {"the scale of a copy one unit away",
       [](const MergeCase& m, const MergeInputs&, MergeOutcome& o) {
         change_scale(o, last_scale(m), [](float s) { return std::nextafter(s, 0.0F); });
       }},
      {"a scale not written",
       [](const MergeCase& m, const MergeInputs&, MergeOutcome& o) {
         std::fill_n(o.scales.payload().begin() +
                         static_cast<std::ptrdiff_t>(last_scale(m) * sizeof(float)),
                     sizeof(float), m.poison);
       }},
      {"the padding of a column of scales written",
       [](const MergeCase& m, const MergeInputs&, MergeOutcome& o) {
         o.scales.payload()[m.tokens * sizeof(float)] ^= std::byte{1};
       }},
      {"one byte past the scales written",
       [](const MergeCase&, const MergeInputs&, MergeOutcome& o) {
         o.scales.bytes[o.scales.bytes.size() - kGuardBytes] ^= std::byte{1};
       }},
  };
  return all;
}

void check_sabotages(const MergeCase& merge, const std::vector<Sabotage>& sabotages,
                     const StreamOwner& stream) {
  const MergeInputs inputs = make_inputs(merge);
  const MergeOutcome right = run_merge(runtime(), merge, inputs, stream);
  CAPTURE(merge.text());
  CHECK(judge(merge, inputs, right).wrong == "");
  for (const Sabotage& sabotage : sabotages) {
    MergeOutcome wrong = right;
    sabotage.apply(merge, inputs, wrong);
    CAPTURE(sabotage.name);
    CHECK(judge(merge, inputs, wrong).wrong != "");
  }
}

// The codes of merging in bf16 first and quantising the rounded values afterwards.
std::vector<std::uint8_t> unfused_codes(const MergeCase& merge, const MergeInputs& inputs,
                                        const StreamOwner& stream) {
  MergeCase same_type = merge;
  same_type.scale.reset();
  const MergeOutcome outcome = run_merge(runtime(), same_type, inputs, stream);
  const float inverse = 1.0F / *merge.scale;
  std::vector<std::uint8_t> codes;
  for (std::uint64_t i = 0; i < merge.elements(); ++i) {
    const double merged = reference::load_element(merge.type, outcome.output.payload().data(), i);
    const float scaled = static_cast<float>(merged) * inverse;
    codes.push_back(static_cast<std::uint8_t>(reference::encode(
        reference::kE4M3Format, static_cast<double>(scaled), reference::Overflow::kSaturate)));
  }
  return codes;
}

TEST_CASE("the check finds every kind of wrong result", "[merge][control]") {
  const StreamOwner stream(driver());
  for (const DType type : {f32, f16, bf16}) {
    for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.1F}}) {
      const MergeCase merge = ordinary_case(type, scale);
      check_sabotages(merge, sabotages(), stream);
    }
  }
}

TEST_CASE("the check finds every kind of wrong result with scales of groups", "[merge][control]") {
  const StreamOwner stream(driver());
  for (const DType type : {f32, f16, bf16}) {
    for (const bool ue8m0 : {false, true}) {
      MergeCase merge = ordinary_case(type, std::nullopt);
      merge.group = 64;
      merge.ue8m0 = ue8m0;
      merge.layout = ScaleLayout::kAlignedColumn;
      merge.context = 10;
      check_sabotages(merge, sabotages(), stream);
      check_sabotages(merge, scale_sabotages(), stream);
    }
  }
}

TEST_CASE("an LSE that nobody asked for is found", "[merge][control]") {
  const StreamOwner stream(driver());
  MergeCase merge = ordinary_case(bf16, std::nullopt);
  merge.has_lse = false;
  const MergeInputs inputs = make_inputs(merge);
  MergeOutcome outcome = run_merge(runtime(), merge, inputs, stream);
  CHECK(judge(merge, inputs, outcome).wrong == "");
  outcome.output_lse.payload()[0] ^= std::byte{1};
  CHECK(judge(merge, inputs, outcome).wrong != "");
}

TEST_CASE("fused FP8 is within one code of merging in bf16 and quantising after",
          "[merge][unfused]") {
  const StreamOwner stream(driver());
  for (const float scale : {0.01F, 0.05F, 0.1F, 0.5F}) {
    MergeCase merge = ordinary_case(bf16, scale);
    merge.tokens = 257;
    merge.heads = 16;
    merge.head_size = merge.input_stride = merge.output_stride = 128;
    const MergeInputs inputs = make_inputs(merge);
    const MergeOutcome fused = run_merge(runtime(), merge, inputs, stream);
    const std::vector<std::uint8_t> unfused = unfused_codes(merge, inputs, stream);
    std::uint64_t identical = 0;
    std::int64_t worst = 0;
    for (std::size_t i = 0; i < unfused.size(); ++i) {
      const auto code = std::to_integer<std::uint8_t>(fused.output.payload()[i]);
      const auto steps = reference::steps_between(reference::kE4M3Format, code, unfused[i]);
      identical += steps == 0;
      worst = std::max(worst, steps);
    }
    const double share = static_cast<double>(identical) / static_cast<double>(unfused.size());
    fmt::print("fused against unfused FP8, scale {}: {:.3f} % identical\n", scale, 100 * share);
    CAPTURE(scale);
    CHECK(worst <= 1);
    CHECK(share >= 0.95);
  }
}

}  // namespace
}  // namespace jit::test
