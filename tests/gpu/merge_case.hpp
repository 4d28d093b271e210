// MergeCase: one call of merge_attn_states, and the verdict on what it did.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"
#include "jit/value.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace jit::test {

// What the LSEs of both sides look like.
enum class LsePattern : std::uint8_t {
  kOrdinary,  // N(0, 1); now and then one side is +inf
  kEmpty,     // -inf and +inf on either side and on both
  kExtreme,   // equal, 10^4 apart, +-3e38
  kNaN,       // NaN on either side, on both, and beside an empty side
  kWide,      // N(0, 20): one side often drowns
  kGroups,    // as kOrdinary; blocks of elements that scales of groups stumble over
};

// Where the scales of groups lie.
enum class ScaleLayout : std::uint8_t {
  kRowMajor,       // [n, s], strides left at 0
  kColumnMajor,    // [s, n]
  kAlignedColumn,  // [s, n rounded up to a multiple of 4]: what TMA takes
  kWideRow,        // [n, s + 3], given by its strides
};

struct MergeCase {
  DType type = DType::kBF16;
  std::optional<float> scale;  // set: e4m3 output
  std::uint32_t group = 0;     // set: e4m3 output with a scale per group
  bool ue8m0 = false;
  ScaleLayout layout = ScaleLayout::kRowMajor;
  bool has_lse = true;
  bool programmatic = false;
  std::uint32_t tokens = 0;
  std::uint32_t heads = 0;
  std::uint32_t head_size = 0;
  std::optional<std::uint32_t> context;
  std::uint32_t input_stride = 0;
  std::uint32_t output_stride = 0;
  LsePattern pattern = LsePattern::kOrdinary;
  std::byte poison{0xFF};  // of the outputs before the launch
  bool shifted = false;    // LSEs and FP8 output as unaligned as is allowed
  std::uint64_t seed = 0;

  bool fp8() const noexcept { return scale.has_value() || group != 0; }
  std::uint64_t rows() const noexcept { return std::uint64_t{tokens} * heads; }
  std::uint64_t elements() const noexcept { return rows() * head_size; }
  std::uint32_t context_tokens() const noexcept { return context.value_or(tokens); }
  std::size_t input_bytes() const;   // of one side, from the first element to the last
  std::size_t output_bytes() const;  // likewise
  // Of the scales of groups; all 0 without groups.
  std::uint64_t scales_per_token() const noexcept;
  std::uint64_t scale_token_stride() const noexcept;
  std::uint64_t scale_group_stride() const noexcept;
  std::size_t scale_bytes() const;  // with the padding of the layout
  std::string text() const;
};

// The operands of a case on the host.
struct MergeInputs {
  std::vector<std::byte> prefix;
  std::vector<std::byte> suffix;
  std::vector<float> prefix_lse;
  std::vector<float> suffix_lse;
};

// Fresh random operands. Whatever must not count is garbage: elements of empty sides, padding,
// prefixes and their LSEs of tokens without context.
MergeInputs make_inputs(const MergeCase& merge);

// All buffers after the launch.
struct MergeOutcome {
  Image prefix;
  Image suffix;
  Image prefix_lse;
  Image suffix_lse;
  Image output;
  Image output_lse;
  Image scales;
};

struct Verdict {
  std::string wrong;  // empty if everything is as it must be
  reference::MergeCheck check;
};

// Compares with the float64 reference; looks at guard bands, padding, inputs, and at the LSE buffer
// if it was not to be written.
Verdict judge(const MergeCase& merge, const MergeInputs& inputs, const MergeOutcome& outcome);

}  // namespace jit::test
