// The judge of attention results: compares what a kernel wrote with the float64 reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "jit/abi.hpp"
#include "jit/value.hpp"
#include "kernels/reference/attention.hpp"

namespace jit::inline v1::reference {

// AttentionOutput is what a launch wrote, copied to the host; Units: elements.
//
// Shapes: output [num_tokens, num_heads, head_dim_v], elements of a head contiguous; lse
//         [num_heads, num_tokens]. The scale of group i of (token, head) lies at token *
//         scale_token_stride + (head * (head_dim_v / group_size) + i) * scale_group_stride.
struct AttentionOutput {
  DType type = DType::kBF16;  // bf16, f16, f32 or e4m3
  const void* output = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  const float* lse = nullptr;  // optional
  std::int64_t lse_head_stride = 0;

  // Of e4m3 only.
  float scale = 1.0F;           // of the tensor; unused with groups
  std::int64_t group_size = 0;  // elements that share a scale; 0: `scale` is that of all
  bool ue8m0_scales = false;
  const float* group_scales = nullptr;
  std::int64_t scale_token_stride = 0;
  std::int64_t scale_group_stride = 0;
  // Optional: what the same kernel writes as bf16, with the same strides.
  const void* unquantised = nullptr;
};

// What a result may be off by. The defaults are those of kernels that multiply weights rounded to
// bf16 with 16-bit values and round the result once.
//
// They were set from emulations on random operands, N(0, 1), also with queries 8 times as large, of
// 192/128, 128/128 and 64/64, of up to 32768 keys, with scales from 1e-3 to 0.125:
//                                     fused kernel     fused, but bf16    eager bf16 code
//   rms of bf16 results               1.6e-3..2.3e-3                      2.7e-3..4.4e-3
//   of the worst row                  2.3e-3                              4.2e-3..8.4e-3
//   codes of the float64 values       94.0 % or more   93.5 % or more     81..91.4 %
//   codes of its own bf16 results     96.9 % or more   100 %
//   sensitive codes that are kept     72 % or more     27 % or less
// Rounding weights to bf16 moves a result by 1.5e-3 rms, and a step of e4m3 is a twelfth of a value
// on the average: of a right kernel, too, 4 to 6 codes in a hundred are their neighbours. (A scale
// of 10 leaves few codes to choose from: 99 % of a right kernel, 98 % of eager code.) What a second
// rounding does is therefore not seen in how many codes are others, but in which.
struct AttentionRules {
  double weight_error = 0x1p-8;         // of one element, in units of sum p|v|
  double rms = 3e-3;                    // of all elements, relative; not of e4m3
  double row_rms = 4e-3;                // of one row, in units of its root of |output|^2 + spread^2
  double eager = 2.0;                   // of one element, in units of the worst error of eager code
  double identical = 0.93;              // share of codes that are those of the float64 values
  double identical_unquantised = 0.96;  // and of those of the unquantised output
  double lse_absolute = 1e-4;
  double lse_relative = 1e-5;
  // Shares, rms and what is said of a row on the whole: of values that vary like random ones. Off
  // for operands that are alike, whose errors are too.
  bool statistics = true;

  // Of weights in 8 bits, which rules_of_fp8_weights sets.
  double weight_floor = 0.0;  // of one element, in units of AttentionReference::floor
  double sum_error = 0.0;     // of one element, in units of sum p|v|: of sums of few bits
  // Of a score, in units of AttentionReference::score_size; where it is more than sum_error or
  // lse_absolute, it counts in their place.
  double score_error = 0.0;
  // Of an LSE, in the same units: what is cut off scores is cut off towards one side, and does not
  // go away in the mean. Where it is more than lse_absolute, it counts in its place.
  double score_bias = 0.0;
  bool exact_row = true;  // a row of one key is judged bit by bit
  // The elements of a row whose LSE is -inf are 0; else they are anything, as in parts of a split,
  // which nobody reads there.
  bool empty_row = true;
  double identical_kept = 0.55;  // share of sensitive codes that are kept
  // rms, cosine and row_relative are of rows that see so many keys or more.
  std::int64_t rms_keys = 0;
  double cosine = std::numeric_limits<double>::infinity();  // 1 - 2 <x, y> / (|x|^2 + |y|^2)
  // Of one row, in units of its root of |output|^2.
  double row_relative = std::numeric_limits<double>::infinity();
};

// The rules of kernels whose weights are e4m3 of 2^8 times the weight relative to the largest so
// far, with fp32 sums of products in 8 bits, for values like N(0, 1); the reference needs `floor`.
//
// One element: half a step of e4m3 of every weight, 2^-18 of the largest for those below all steps,
//         4e-3 for what the tensor cores cut off. All: rms 3.5e-2. A row of 32 keys or more: 8e-2
//         of itself. LSE: 1e-3. What the tensor cores cut off scores is 2^-12 of their size, which
//         widens the bounds of elements and LSEs where few keys have all the weight or scores are
//         large; emulations reach half of it. Not here: what an H200 cuts off to one side,
//         kScoreBias, which who judges hardware adds.
AttentionRules rules_of_fp8_weights() noexcept;

// The score_bias of an H200's products in 8 bits: LSEs were off by up to so much of the size of
// scores, and by twice that where all products of a row have one sign, as those of a query that is
// one of its keys.
inline constexpr double kScoreBias = 0x1p-11;

// The same for values whose mean is not 0, like U(0, 1) or N(1, 1), whose sums grow with their
// number: rms 4e-3, or 1.2e-2 where sums are carried over to fp32 after several key tiles, of rows
// of 1024 keys or more. Sums that are never carried over fail from some thousand keys on, which no
// rule about N(0, 1) sees.
AttentionRules rules_of_biased_values(std::int64_t accumulation_interval) noexcept;

// The rules for parts, those of `chunks` of context and one more, that were each rounded to 16
// bits, as was every join of two. (Parts in fp32 need no others.)
AttentionRules rules_of_joined_parts(std::size_t chunks) noexcept;

struct AttentionCheckOptions {
  AttentionRules rules{};
  // output and lse (not the scales) held bytes of 0xFF before the launch: everything that belongs
  // to a sequence must have been written, and nothing else up to the last row's end.
  bool poisoned = false;
  unsigned threads = 0;  // 0: as many as there are processors
};

// AttentionCheck is what comparing a result with the reference found.
struct AttentionCheck {
  std::uint64_t rows = 0;
  std::uint64_t elements = 0;
  std::uint64_t wrong = 0;       // elements beyond their bound, or not written, or amiss
  std::uint64_t wrong_rows = 0;  // rows whose errors are too many or too large on the whole
  std::uint64_t wrong_lse = 0;
  std::uint64_t wrong_scales = 0;    // of groups
  double worst_error = 0.0;          // of an element, in units of its bound
  double largest_error = 0.0;        // |error|
  double largest_eager_error = 0.0;  // 0 without the reference's eager results
  double rms = 0.0;                  // relative
  double eager_rms = 0.0;
  double cosine = 0.0;              // as AttentionRules
  double worst_row_rms = 0.0;       // as AttentionRules::row_rms; not of e4m3
  double worst_row_relative = 0.0;  // as AttentionRules::row_relative; not of e4m3
  double worst_lse_error = 0.0;     // |error|
  std::uint64_t identical = 0;      // codes that are those of the float64 values
  std::uint64_t identical_unquantised = 0;
  std::uint64_t saturated = 0;         // codes of +-448
  std::uint64_t nan_codes = 0;         // each is wrong
  std::uint64_t scales = 0;            // of groups
  std::uint64_t identical_scales = 0;  // that of the float64 values
  // Codes that rounding to bf16 first would change, and how many of them it did not.
  std::uint64_t sensitive = 0;
  std::uint64_t sensitive_kept = 0;
  std::string first_failure;  // where and what; empty if nothing is wrong

  bool passed() const { return first_failure.empty(); }
  // One line for people.
  std::string text() const;
};

// Compares the rows of the reference with a result.
//
// One key seen, with exact_row: the element is the key's value, rounded once, and the code that of
// value *
//         (1.0F / scale) in fp32; bit for bit.
// bf16, f16, f32: half a unit in the last place, weight_error and weight_floor, with sum_error;
// rms,
//         row_rms and eager.
// e4m3: a code between those of the values as much below and above, 0x7E for a NaN; no NaN
//         code anywhere. In a row as many codes off as errors of row_rms / 2 explain; of all,
//         `identical`. Where a second rounding through bf16 would matter, most codes are as
//         without.
// unquantised: its own codes `identical_unquantised`, and never further apart than a step and
//         weight_error.
// Groups: a scale must be that of values within weight_error, exactly so where one key is seen,
//         and codes are judged by the scale that was written; unless scales are powers of two one
//         of a group is +-448. Over all, scales are as near as rms.
// lse:    lse_absolute + lse_relative * |lse|; exactly -inf where no key is seen.
// Shares and rms count from 1000 elements on, shares less four standard deviations of chance.
// Errors: kInvalidArgument if rules have a weight_floor and the reference has not.
// Threads: starts its own.
AttentionCheck check_attention(const AttentionProblem& problem, const AttentionReference& reference,
                               const AttentionOutput& output,
                               const AttentionCheckOptions& options = {});

// Whether errors of biased values stay what they are as contexts grow: "" if rms of `longer` is at
// most 1.3 times that of `shorter`, else what is wrong.
std::string check_growth(const AttentionCheck& shorter, const AttentionCheck& longer);

// The code of value * inverse, rounded once and saturated; 0x7E for a NaN.
std::uint8_t quantise_to_e4m3(double value, float inverse) noexcept;

}  // namespace jit::inline v1::reference
