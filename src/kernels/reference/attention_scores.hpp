// The scores of a few rows of attention at once, for what is computed of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "jit/abi.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_keys.hpp"
#include "kernels/reference/multiply.hpp"

namespace jit::inline v1::reference {

// AttentionUnit is rows of one sequence and key-value head, which are computed together.
struct AttentionUnit {
  std::int64_t sequence = 0;
  std::int64_t kv_head = 0;
  std::vector<std::size_t> rows{};  // of the list
};

// All rows of a list in units of at most AttentionScores::kRows, those of a later token later.
// Errors: kInvalidArgument for a row of no sequence.
std::vector<AttentionUnit> attention_units(const AttentionProblem& problem,
                                           std::span<const AttentionRow> rows);

// All rows of a problem that belong to a sequence, by token, then by head.
std::vector<AttentionRow> all_attention_rows(const AttentionProblem& problem);

// Errors: kInvalidArgument for heads that do not divide, a type that is not read.
void check_attention_problem(const AttentionProblem& problem);

// AttentionScores computes the scores of one unit after the other.
//
// Columns count from key first() on, which is a multiple of kKeys: what is computed of a row does
// not depend on the rows beside it.
class AttentionScores {
 public:
  static constexpr std::size_t kRows = 16;
  static constexpr std::size_t kKeys = 64;

  // Of the keys `only`; with `in_tensor_core` products are summed up as multiply_add_in_tensor_core
  // does it.
  explicit AttentionScores(const AttentionProblem& problem, AttentionKeyRange only = {},
                           bool in_tensor_core = false);

  void compute(const AttentionUnit& unit, std::span<const AttentionRow> rows);

  std::size_t rows() const { return rows_; }
  // A multiple of kMultiplyRows; those beyond rows() have no keys.
  std::size_t padded_rows() const {
    return (rows_ + kMultiplyRows - 1) / kMultiplyRows * kMultiplyRows;
  }
  std::int64_t first() const { return first_; }
  std::size_t columns() const { return columns_; }
  std::size_t stride() const { return stride_; }  // of rows, at least columns()
  // The columns that row `i` sees.
  std::size_t begin(std::size_t i) const { return begin_[i]; }
  std::size_t end(std::size_t i) const { return end_[i]; }
  std::size_t seen(std::size_t i) const { return end_[i] - begin_[i]; }
  // After scale and softcap; only those that are seen are scores.
  const double* row(std::size_t i) const { return scores_.data() + i * stride_; }
  double sink(std::size_t i) const { return sinks_[i]; }
  // As AttentionReference.
  double score_size(std::size_t i) const { return score_sizes_[i]; }
  double value_scale() const { return value_scale_; }

  // The values of `count` columns from `column` on, as [count, head_dim_v].
  void load_values(std::size_t column, std::size_t count, double* to) const;

 private:
  void place(const AttentionUnit& unit, std::span<const AttentionRow> rows,
             const AttentionSequenceKeys& keys);
  void multiply(AttentionSequenceKeys& keys);
  void finish(std::size_t i);

  const AttentionProblem& problem_;
  AttentionKeyRange only_;
  bool in_tensor_core_;
  double scale_ = 1.0;
  double value_scale_ = 1.0;
  std::int64_t sequence_ = 0;
  std::int64_t kv_head_ = 0;
  std::size_t rows_ = 0;
  std::int64_t first_ = 0;
  std::size_t columns_ = 0;
  std::size_t stride_ = 0;
  std::array<std::size_t, kRows> begin_{};
  std::array<std::size_t, kRows> end_{};
  std::array<double, kRows> sinks_{};
  std::array<double, kRows> score_sizes_{};
  std::vector<double> queries_;
  std::vector<double> keys_;     // [head_dim, kKeys]
  std::vector<double> squares_;  // [columns]: of keys
  std::vector<double> scores_;   // [kRows, stride]
};

}  // namespace jit::inline v1::reference
