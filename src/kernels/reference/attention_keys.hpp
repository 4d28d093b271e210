// Reading the operands of attention as float64.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/abi.hpp"
#include "jit/value.hpp"
#include "kernels/reference/attention.hpp"

namespace jit::inline v1::reference {

// Query tokens `begin` to `end - 1` of a sequence: those that are used.
struct AttentionTokens {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t count() const { return end - begin; }
};
AttentionTokens tokens_of(const AttentionProblem& problem, std::int64_t sequence);

// The sequence of a query token; -1: of none.
std::int64_t sequence_of(const AttentionProblem& problem, std::int64_t token);

double descale_of(const AttentionDescales& descales, std::int64_t sequence, std::int64_t kv_head);

// The sink of a query head; -inf: none.
double sink_of(const AttentionProblem& problem, std::int64_t head);

// One head of a token, of a type that format_of knows.
void load_head(DType type, const AttentionOperand& from, const AttentionRow& row,
               std::int64_t elements, double* to);

// AttentionSequenceKeys are the keys and values of one sequence and head, those of all parts one
// after the other.
class AttentionSequenceKeys {
 public:
  AttentionSequenceKeys(const AttentionProblem& problem, std::int64_t sequence,
                        std::int64_t kv_head);

  std::int64_t count() const { return count_; }
  // Which of them query token `token` of the sequence sees.
  AttentionKeyRange seen_by(std::int64_t token) const;

  // Keys `first` to `first + count` as [head_dim, stride].
  void load_transposed(std::int64_t first, std::int64_t count, std::size_t stride, double* to);
  // Their values as [count, head_dim_v].
  void load_values(std::int64_t first, std::int64_t count, double* to) const;

 private:
  struct Place {
    const AttentionKeys* part = nullptr;
    AttentionRow row;
    std::int64_t page = 0;
  };
  Place place_of(std::int64_t key) const;
  void load(const Place& place, const AttentionOperand& from, std::int64_t elements,
            double* to) const;

  const AttentionProblem& problem_;
  std::int64_t sequence_;
  std::int64_t kv_head_;
  std::int64_t count_ = 0;
  std::vector<double> key_;
};

}  // namespace jit::inline v1::reference
