// The float64 references of paged_mqa_logits and mqa_logits and the judge of their results, in
// plain C++ on host memory: the semantics of include/jit/kernels/, computed exactly on the stored
// inputs and rounded once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "jit/abi.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::reference {

// PagedMqaProblem is one call of paged_mqa_logits on host memory; fields are those of
// kernels::PagedMqaLogitsArgs, strides are given.
struct PagedMqaProblem {
  std::int64_t batch = 0;
  std::int64_t next_n = 1;
  std::int64_t num_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t block_kv = 0;
  std::int64_t max_context_len = 0;
  DType logits_type = DType::kF32;
  const void* query = nullptr;
  const void* kv_cache = nullptr;
  const float* weights = nullptr;
  const std::int32_t* context_lens = nullptr;
  const std::int32_t* block_table = nullptr;
  std::int64_t block_stride = 0;
  std::int64_t block_table_stride = 0;
  std::int64_t logits_stride = 0;
  bool clean_logits = false;
};

// MqaProblem is one call of mqa_logits on host memory; fields are those of kernels::MqaLogitsArgs.
struct MqaProblem {
  std::int64_t num_tokens = 0;
  std::int64_t num_keys = 0;
  std::int64_t num_heads = 0;
  std::int64_t head_dim = 0;
  DType logits_type = DType::kF32;
  const void* query = nullptr;
  const void* keys = nullptr;
  const float* key_scales = nullptr;
  const float* weights = nullptr;
  const std::int32_t* starts = nullptr;
  const std::int32_t* ends = nullptr;
  std::int64_t logits_width = 0;
  std::int64_t logits_stride = 0;
  bool compressed_logits = false;
  bool clean_logits = false;
};

// MqaCheckOptions says what is looked at and what was there before.
struct MqaCheckOptions {
  // Requests (of mqa_logits: tokens) whose scores are computed; of the others it is looked whether
  // what must be written was. Empty: all are computed.
  std::span<const std::int64_t> sample{};
  std::byte poison{0xFF};  // every byte of logits before the launch
  unsigned threads = 0;    // 0: as many as there are processors
};

// MqaCheck is what comparing logits with the reference found.
//
// A difference is sum((x - y)^2) / sum(x^2 + y^2) = 1 - 2 sum(xy) / sum(x^2 + y^2) of results x and
// references y, both divided by the key's scale, so that every key counts; 0 for fewer than 256
// scores, whose sum may cancel.
struct MqaCheck {
  std::uint64_t rows = 0;             // of query tokens that were computed
  std::uint64_t scores = 0;           // compared
  std::uint64_t wrong = 0;            // positions: beyond the bound, not written, or written amiss
  double difference = 0.0;            // of all that was compared
  double worst_row_difference = 0.0;  // of one row
  double worst_error = 0.0;           // |error| in magnitudes, before rounding to bf16
  std::string first_failure;          // where and what; empty if nothing is wrong

  // Nothing is wrong; the differences are at most 1e-7 in all and 1e-6 in a row (f32), 3e-6 and
  // 4e-6 (bf16).
  bool passed(DType logits_type) const;
  // One line for people.
  std::string text() const;
};

// How far a score may be from the reference, in magnitudes; bf16 is then rounded once.
//
// Tensor cores add e4m3 products to 13 bits below the largest of them and cut the rest off.
inline constexpr double kMqaErrorBound = 2.8e-3;

// Compares logits, every position up to the end of the last row, with the reference.
//
// A position whose key is seen must hold the score within kMqaErrorBound (a NaN exactly where the
// reference has one, and another than poison); below max_context_len the others must be -inf with
// clean_logits and else poison; those between rows must be poison.
// Threads: starts its own.
MqaCheck check_paged_mqa(const PagedMqaProblem& problem, const void* logits,
                         const MqaCheckOptions& options = {});
MqaCheck check_mqa(const MqaProblem& problem, const void* logits,
                   const MqaCheckOptions& options = {});

// Bytes of logits from the first to the last position.
std::size_t logits_bytes_of(const PagedMqaProblem& problem);
std::size_t logits_bytes_of(const MqaProblem& problem);

}  // namespace jit::inline v1::reference
