// The float64 reference of attention, in plain C++ on host memory: varlen or paged, with causal and
// window masks, grouped heads, descales, softcap and sinks, computed exactly on the stored inputs
// for all rows or for some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "jit/abi.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::reference {

// AttentionOperand is an array [tokens, heads, elements] on the host, or one of pages [pages,
// tokens of a page, heads, elements]; elements of a head are contiguous. Units: elements.
struct AttentionOperand {
  const void* data = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t page_stride = 0;  // of pages only
};

// AttentionPages tell in which page of k and v a key lies: key j of sequence b in slot j %
// page_size of page table[b * table_stride + j / page_size]. What a table names beyond a sequence's
// length is not read.
struct AttentionPages {
  const std::int32_t* table = nullptr;  // null: k and v are no pages
  std::int64_t table_stride = 0;
  std::int64_t page_size = 0;
};

// AttentionKeys are the keys and values of all sequences, or of a part of each: sequence b has
// tokens cu_seqlens[b] to cu_seqlens[b + 1], of which `used[b]` are used. Pages need `used` alone.
struct AttentionKeys {
  AttentionOperand k;     // with `rope`: without the last rope_dim elements
  AttentionOperand v;     // head_dim_v elements
  AttentionOperand rope;  // optional: the last rope_dim elements of a key, of all heads
  const std::int32_t* cu_seqlens = nullptr;
  const std::int32_t* used = nullptr;  // optional: lengths in place of those of cu_seqlens
  AttentionPages pages{};
};

// AttentionDescales are factors of an operand, one per sequence and key-value head, at sequence *
// sequence_stride + head * head_stride; a stride of 0 makes one serve all.
struct AttentionDescales {
  const float* data = nullptr;  // null: 1
  std::int64_t sequence_stride = 0;
  std::int64_t head_stride = 0;
};

// AttentionSinks are scores of a key without a value, one per query head: they count in the sum of
// weights and in the LSE, and add nothing to the output.
struct AttentionSinks {
  DType type = DType::kBF16;   // or f32
  const void* data = nullptr;  // null: none
};

// AttentionProblem is one call of attention on host memory.
//
//   score[i, j]        = q_descale * k_descale * softmax_scale * q[i, head, :] . k[j, head_kv, :],
//                        with a softcap c: c * tanh(score / c)
//   output[i, head, :] = v_descale * sum over j of softmax_j(score[i, j]) * v[j, head_kv, :],
//                        head_kv = head / (num_heads / num_kv_heads)
//
// The keys of a sequence are those of the parts one after the other, as after a context in chunks.
// Query i of Lq sees key j of Lk, counted over all parts, if with a window i + Lk - Lq -
// window_left <= j <= i + Lk - Lq + window_right, and, with causal, j <= i + Lk - Lq.
//
// A batch whose sequences lie `n` tokens apart, whatever their length, is one of cu_seqlens 0, n,
// 2n, ... and of lengths `used`.
struct AttentionProblem {
  DType type = DType::kBF16;  // of q, k, v: bf16, f16, e4m3 or e5m2
  std::int64_t num_sequences = 0;
  std::int64_t num_tokens = 0;  // that the output has room for; those of no sequence have no result
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t head_dim_v = 0;
  std::int64_t rope_dim = 64;  // where a part has `rope`
  bool causal = true;
  float softmax_scale = 0.0F;  // 0 means head_dim^-0.5
  AttentionOperand q;
  const std::int32_t* cu_seqlens_q = nullptr;
  std::vector<AttentionKeys> keys;

  const std::int32_t* used_q = nullptr;  // optional: as AttentionKeys::used
  std::int64_t window_left = -1;         // -1: all keys to the left, or to the right
  std::int64_t window_right = -1;
  float softcap = 0.0F;  // 0: none
  AttentionDescales q_descale{};
  AttentionDescales k_descale{};
  AttentionDescales v_descale{};
  AttentionSinks sinks{};
};

// One row of the output.
struct AttentionRow {
  std::int64_t token = 0;
  std::int64_t head = 0;

  friend bool operator==(const AttentionRow&, const AttentionRow&) = default;
};

// Keys `begin` to `end - 1` of a sequence.
struct AttentionKeyRange {
  std::int64_t begin = 0;
  std::int64_t end = std::numeric_limits<std::int64_t>::max();

  std::int64_t count() const { return end > begin ? end - begin : 0; }
};

struct AttentionOptions {
  std::span<const AttentionRow> rows{};  // empty: all that belong to a sequence
  bool eager = true;                     // what eager 16-bit code gives is computed as well
  bool fused = false;                    // what a fused kernel gives is computed as well
  unsigned threads = 0;                  // 0: as many as there are processors
  bool floor = false;                    // what the smallest weights may add, for 8-bit weights
  // Attention to these keys alone, as one part of a split has it; masks are those of all keys. The
  // sinks belong to the part that begins at key 0.
  AttentionKeyRange keys{};
};

// AttentionReference is the exact result of some rows.
//
// A row that sees no key has output 0 and LSE -inf, or with a sink the sink as its LSE. A NaN that
// is seen makes the row NaN.
struct AttentionReference {
  std::int64_t head_dim_v = 0;
  std::vector<AttentionRow> rows;  // as asked for; all: by token, then by head
  std::vector<double> output;      // [rows, head_dim_v]
  std::vector<double> magnitude;   // [rows, head_dim_v]: sum over j of p_j |v_j|
  std::vector<double> lse;         // [rows]: natural logarithm, with the scale and the sink
  std::vector<double> spread;      // [rows]: root of the sum over j of p_j^2 |v_j|^2 / head_dim_v
  std::vector<std::int64_t> seen;  // [rows]: keys
  std::vector<double> eager;       // [rows, head_dim_v]; scores, normalised weights and results
                                   // rounded to bf16, as three kernels one after the other do
  std::vector<double> fused;       // [rows, head_dim_v]; weights relative to the row's largest
                                   // rounded to bf16, their sum not, results not
  std::vector<double> floor;       // [rows, head_dim_v]: the largest p_j * sum over j of |v_j|
  std::vector<double> score_size;  // [rows]: scale * |q| * the largest |k_j|: how large the sums
                                   // are that scores come of
  std::vector<double> concentration;  // [rows]: root of the sum over j of p_j^2
};

// Errors: kInvalidArgument for a row of no sequence, heads that do not divide, another type.
// Threads: starts its own.
// Cost: head_dim + 2 * head_dim_v (3 with eager, 4 with fused as well, one more with floor)
//       multiply-adds of float64 per row and key, about 6 G/s of them per processor; 1 G/s for rows
//       that are the only one of their sequence and key-value head. 512 tokens of 16 heads: 0.2 s
//       of one processor. With floor, 48 rows of one key-value head, of 128 elements, that see up
//       to 131072 keys: 2 s of one processor.
AttentionReference compute_attention(const AttentionProblem& problem,
                                     const AttentionOptions& options = {});

// About `count` rows that tell most about a result: the first and last tokens of sequences, those
// around multiples of 64, and others, of random heads; in order, none twice. All of them where
// there are no more.
std::vector<AttentionRow> sample_attention_rows(const AttentionProblem& problem, std::size_t count,
                                                std::uint64_t seed);

}  // namespace jit::inline v1::reference
