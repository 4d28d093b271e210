// PagedMqaCase: one call of paged_mqa_logits, and the verdict on what it did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"
#include "gpu/mqa_tools.hpp"
#include "jit/value.hpp"
#include "kernels/reference/mqa_logits.hpp"

namespace jit::test {

struct PagedMqaCase {
  std::int64_t batch = 1;
  std::int64_t next_n = 1;
  std::int64_t num_heads = 64;
  std::int64_t head_dim = 128;
  std::int64_t block_kv = 64;
  DType type = DType::kF32;
  bool clean = false;
  bool scheduled = false;  // the schedule is that of paged_mqa_logits_metadata
  bool programmatic = true;
  std::int64_t workers = 0;             // 0: as many as there are multiprocessors
  std::int64_t max_context_len = 0;     // lengths may lie beyond it, and below 0
  std::vector<std::int32_t> lengths{};  // [batch, next_n]
  std::int64_t block_padding = 0;       // Units: bytes, a multiple of 16
  std::int64_t table_padding = 0;       // Units: entries
  std::int64_t row_padding = 0;         // Units: elements
  ScalePattern scales = ScalePattern::kOrdinary;
  WeightPattern weights = WeightPattern::kOrdinary;
  bool shared_blocks = false;  // half of the blocks belong to several requests
  std::byte poison{0xFF};      // of the logits before the launch
  std::uint64_t seed = 0;

  std::int64_t rows() const noexcept { return batch * next_n; }
  std::int64_t length(std::int64_t row) const;       // within 0 and max_context_len
  std::int64_t longest(std::int64_t request) const;  // of its tokens
  std::int64_t block_bytes() const noexcept { return block_kv * (head_dim + 4); }
  std::int64_t block_stride() const noexcept { return block_bytes() + block_padding; }
  std::int64_t table_stride() const noexcept {
    return (max_context_len + block_kv - 1) / block_kv + table_padding;
  }
  std::int64_t logits_stride() const noexcept { return max_context_len + row_padding; }
  std::string text() const;
};

// The operands of a case on the host; the lengths are the case's.
struct PagedMqaInputs {
  std::vector<std::byte> query;
  std::vector<std::byte> cache;
  std::vector<float> weights;
  std::vector<std::int32_t> table;
  std::int64_t blocks = 0;  // in the cache
};

// Fresh random operands. Whatever must not count is garbage: slots that nobody's length reaches,
// their scales, padding and unused blocks are NaN or infinite; entries of the block table beyond a
// length are -1 or worse.
PagedMqaInputs make_inputs(const PagedMqaCase& paged);

// The same operands with the blocks in other places.
PagedMqaInputs permuted(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
                        std::uint64_t seed);

reference::PagedMqaProblem problem_of(const PagedMqaCase& paged, const PagedMqaInputs& inputs);

// All buffers after the launch.
struct PagedMqaOutcome {
  Image query;
  Image cache;
  Image weights;
  Image lengths;
  Image table;
  Image schedule;
  Image logits;
};

struct PagedMqaVerdict {
  std::string wrong;  // empty if everything is as it must be
  reference::MqaCheck check;
};

// Compares with the float64 reference on `threads` threads; looks at guard bands, at inputs and at
// all positions that must not be written.
PagedMqaVerdict judge(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
                      const PagedMqaOutcome& outcome, unsigned threads = 1);

}  // namespace jit::test
