// Results of attention as a launch leaves them in memory, right ones and damaged ones.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/value.hpp"
#include "kernels/attention_trial.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::test {

struct AttentionFormat {
  DType type = DType::kBF16;
  float scale = 0.0F;      // e4m3: of the tensor
  std::int64_t group = 0;  // e4m3: or of so many elements each
  bool ue8m0 = false;
  // What a wrong kernel does.
  bool through_bf16 = false;
  bool divides = false;
  double scale_factor = 1.0;  // of groups
};

// AttentionWriting has gaps behind heads, tokens and LSEs of a head, all poisoned.
class AttentionWriting {
 public:
  // Refers to the trial and its reference.
  AttentionWriting(const AttentionTrial& trial, const reference::AttentionReference& reference,
                   const AttentionFormat& format);

  void write(const AttentionResult& result) { rewrite(result, format_); }
  // In another format than that which is judged.
  void rewrite(const AttentionResult& result, const AttentionFormat& format);
  reference::AttentionCheck check() const;
  reference::AttentionCheck check(reference::AttentionCheckOptions options) const;

  void unwrite(std::int64_t token, std::int64_t head);
  void copy_row(const reference::AttentionRow& from, const reference::AttentionRow& to);
  void put_nan(const reference::AttentionRow& row, std::int64_t i);
  void touch(const reference::AttentionRow& row, std::int64_t i);
  // To a neighbouring value that is no NaN.
  void change_code(const reference::AttentionRow& row, std::int64_t i);
  // Codes of +-448 in the row's first group, to the next smaller one.
  void change_largest_codes(const reference::AttentionRow& row, std::int64_t group);
  void double_unquantised(std::int64_t token, std::int64_t head);
  void forget_lse() { has_lse_ = false; }
  void forget_lse(const reference::AttentionRow& row);
  float& lse(const reference::AttentionRow& row);
  float& scale(const reference::AttentionRow& row, std::int64_t group);
  std::vector<std::uint8_t>& codes() { return output_; }

 private:
  std::size_t index(const reference::AttentionRow& row, std::int64_t i) const;
  std::size_t bytes() const { return bytes_of(format_.type); }
  void write_row(const AttentionResult& result, const reference::AttentionRow& row,
                 const AttentionFormat& format);
  void write_code(std::size_t at, float value, float scale, const AttentionFormat& format);

  const AttentionTrial* trial_;
  AttentionFormat format_;
  const reference::AttentionReference* reference_;
  std::int64_t head_stride_;
  std::int64_t token_stride_;
  std::int64_t lse_stride_;
  bool has_lse_ = true;
  std::vector<std::uint8_t> output_;
  std::vector<std::uint16_t> unquantised_;
  std::vector<float> lse_;
  std::vector<float> scales_;
};

// Queries 0 to 3 of the last sequence see no key, query 4 and the first of the others one.
AttentionShape usual_attention_shape();
// Every type and kind of scale.
std::vector<AttentionFormat> attention_formats();

// Attention to `chunks` parts of what comes before the queries and to the rest, each rounded to
// bf16, joined one after the other.
AttentionResult joined_in_parts(const AttentionTrial& trial, std::int64_t chunks);

}  // namespace jit::test
