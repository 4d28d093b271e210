// The part of the judge of attention that looks at one row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "jit/abi.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::inline v1::reference {

// Sums over elements, for the rules over all of them.
struct AttentionSums {
  double errors = 0.0;  // squared, as the others
  double eager_errors = 0.0;
  double squares = 0.0;
  double got_squares = 0.0;
  double scale_errors = 0.0;  // of groups, relative
  double largest = 0.0;       // |value|
  std::uint64_t elements = 0;

  void add(const AttentionSums& other);
};

// AttentionPart is what some of the rows add up to.
struct AttentionPart {
  AttentionCheck check;
  AttentionSums sums;
};

// AttentionRowJudge judges rows by the rules that check_attention documents.
//
// Threads: const members, any, with a part of their own each.
class AttentionRowJudge {
 public:
  AttentionRowJudge(const AttentionReference& reference, const AttentionOutput& output,
                    const AttentionRules& rules, bool has_sinks)
      : reference_(reference), output_(output), rules_(rules), has_sinks_(has_sinks) {}

  // Row `row` of the reference.
  void judge(std::size_t row, AttentionPart& part) const;

 private:
  struct Row;
  struct Element;

  Row row_at(std::size_t row) const;
  double error_of(const Row& row, std::size_t index) const;
  Element element_at(const Row& row, std::size_t i) const;
  void judge_value(Row& row, std::size_t i, AttentionPart& part) const;
  void judge_values(Row& row, AttentionPart& part) const;
  float judge_scale(const Row& row, std::size_t begin, AttentionPart& part) const;
  void judge_code(Row& row, std::size_t i, float inverse, AttentionPart& part) const;
  void judge_unquantised(const Row& row, const Element& element, float inverse,
                         AttentionPart& part) const;
  void judge_codes(Row& row, AttentionPart& part) const;
  void judge_lse(const Row& row, AttentionPart& part) const;

  const AttentionReference& reference_;
  const AttentionOutput& output_;
  const AttentionRules& rules_;
  bool has_sinks_;
};

}  // namespace jit::inline v1::reference
