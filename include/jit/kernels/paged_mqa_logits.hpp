// paged_mqa_logits: weighted ReLU scores of FP8 queries against a paged FP8 key cache (the indexer
// of sparse attention), for any number of speculated tokens per request.
#pragma once

#include <cstdint>

#include "jit/abi.hpp"
#include "jit/kernel.hpp"
#include "jit/runtime.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::kernels {

// Operands of one call: b requests of n = next_n query tokens with h heads of d elements; all on
// the device.
//
//   logits[b * n + t, p] = scale[p] * sum over heads of weights[b * n + t, head] *
//                          max(0, sum over d of query[b, t, head, :] * key[p, :]),  p < length
//
// Shapes: query [b, n, h, d] e4m3, without a scale of its own (fold it into weights), contiguous.
//         kv_cache [num_blocks, block_kv * (d + 4)] bytes: block_kv rows of d e4m3 keys, then
//         block_kv fp32 scales; block_stride bytes from block to block, which may be padded.
//         weights [b * n, h] fp32. context_lens [b, n] int32: keys that token t of request b sees;
//         below 0 counts as 0, beyond max_context_len as that.
//         block_table [b, >= ceil(length / block_kv)] int32; entries beyond the length are never
//         read and may be anything (-1). logits [b * n, max_context_len] f32 or bf16, row stride
//         logits_stride. schedule [num_workers + 1, 2] int32 of paged_mqa_logits_metadata, or null:
//         then every block finds its part itself, which saves a launch and costs about a
//         microsecond for 256 requests.
// Written: positions below a token's length, whatever lies in unused cache slots; those from there
//         to max_context_len are -inf with clean_logits and else left as they are.
// Result: the same bits whatever num_workers, the schedule, other requests, the blocks' places, or
//         next_n. A key whose scale or codes are NaN gives NaN at its own position alone.
// Source: DeepGEMM's fp8_paged_mqa_logits, whose operands these are.
struct PagedMqaLogitsArgs {
  std::int64_t batch = 0;
  std::int64_t next_n = 1;      // 1 to 6
  std::int64_t num_heads = 0;   // 16, 32 or 64
  std::int64_t head_dim = 128;  // 32, 64 or 128
  std::int64_t block_kv = 64;   // 32 or 64
  std::int64_t num_blocks = 0;  // blocks of the cache
  std::int64_t max_context_len = 0;
  DType logits_type = DType::kF32;  // f32 or bf16

  const void* query = nullptr;     // 16-byte aligned
  const void* kv_cache = nullptr;  // 16-byte aligned
  const float* weights = nullptr;  // 16-byte aligned
  const std::int32_t* context_lens = nullptr;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* schedule = nullptr;  // optional
  void* logits = nullptr;

  std::int64_t block_stride = 0;  // Units: bytes, a multiple of 16; 0 means block_kv * (d + 4)
  std::int64_t block_table_stride = 0;  // Units: entries; 0 means ceil(max_context_len / block_kv)
  std::int64_t logits_stride = 0;       // Units: elements; 0 means max_context_len
  std::int64_t num_workers = 0;         // thread blocks; 0 means the device's multiprocessors
  bool clean_logits = false;
  bool programmatic_dependent = true;  // launch as a programmatic dependent of the preceding kernel
};

// Launches the scores on `stream`; allocates nothing and may be captured into a CUDA graph. The
// kernel is got from `runtime` by signature, which no batch, length, stride or multiprocessor count
// is part of.
//
// Requires: the stream belongs to the current context, of a device of compute capability 9.0. With
//         a schedule, num_workers is the one it was made for.
// Errors: kInvalidArgument names the operand, its value and what was expected; nothing is launched.
//         Else those of get_kernel and Kernel::launch; kUnsupportedArch on another GPU. b = 0 or
//         max_context_len = 0 launches nothing.
// Cost: as get_kernel + launch, and two tensor maps that are encoded once per address and shape.
JIT_EXPORT void paged_mqa_logits(Runtime& runtime, const PagedMqaLogitsArgs& args, Stream stream);
JIT_EXPORT void paged_mqa_logits(const PagedMqaLogitsArgs& args, Stream stream);

// Operands of the schedule: which worker scores which keys, in splits of 64.
//
// Shapes: context_lens [b, n] int32, as above. schedule [num_workers + 1, 2] int32, written: pairs
//         (request, split); worker i does from its pair up to the next one, the last is (b, 0).
// Result: workers differ by one split at most; the same lengths always give the same schedule.
struct PagedMqaLogitsMetadataArgs {
  std::int64_t batch = 0;
  std::int64_t next_n = 1;
  std::int64_t max_context_len = 0;
  std::int64_t num_workers = 0;  // 0 means the device's multiprocessors
  const std::int32_t* context_lens = nullptr;
  std::int32_t* schedule = nullptr;
  bool programmatic_dependent = true;
};

// Launches the scheduler on `stream`: one block, for any batch. b = 0 writes a schedule of nothing.
// Errors, Requires: as above.
JIT_EXPORT void paged_mqa_logits_metadata(Runtime& runtime, const PagedMqaLogitsMetadataArgs& args,
                                          Stream stream);
JIT_EXPORT void paged_mqa_logits_metadata(const PagedMqaLogitsMetadataArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
