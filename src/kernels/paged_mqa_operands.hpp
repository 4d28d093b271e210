// Random operands of paged_mqa_logits, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/kernels/paged_mqa_logits.hpp"
#include "kernels/mqa_device_pool.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// Requests with keys in a cache whose blocks lie in random order.
struct PagedMqaRequests {
  // Every request has context_len keys, or with `ragged` 0.7 to 1.3 times as many.
  struct Shape {
    std::int64_t batch = 0;
    std::int64_t context_len = 0;
    bool ragged = false;
    std::int64_t head_dim = 128;
    std::int64_t block_kv = 64;
  };
  PagedMqaRequests(const Shape& shape, std::uint64_t seed);

  // Lengths [batch, next_n]: what each token sees. Speculated tokens see what comes before them,
  // the last one all; where lengths are equal every token sees all.
  std::vector<std::int32_t> token_lens(std::int64_t next_n) const;
  // The block table of `copies` requests in place of each.
  std::vector<std::int32_t> table_of(std::int64_t copies) const;
  std::size_t page_bytes() const;
  std::size_t cache_bytes() const { return static_cast<std::size_t>(num_blocks) * page_bytes(); }
  std::uint64_t keys() const;

  Shape shape;
  std::vector<std::int32_t> context_lens;  // of requests
  std::int64_t max_context_len = 0;        // a multiple of 256
  std::int64_t num_blocks = 0;
  std::vector<std::int32_t> block_table;  // [batch, max_context_len / block_kv]; -1 beyond
};

// What is asked of the requests.
struct PagedMqaCall {
  std::int64_t next_n = 1;
  std::int64_t num_heads = 64;
  DType logits_type = DType::kF32;
  bool clean_logits = false;
};

// The operands of one call in device memory, but for the cache and its table.
struct PagedMqaSet {
  PagedMqaSet(Driver& driver, const PagedMqaRequests& requests, const PagedMqaCall& call,
              std::int64_t num_workers);
  // Enqueues what is random.
  void fill(const MqaDevicePool& pool, Stream stream);

  DeviceBuffer query, weights, context_lens, schedule, logits;
};

struct PagedMqaCache {
  PagedMqaCache(Driver& driver, const PagedMqaRequests& requests);
  void fill(const MqaDevicePool& pool, Stream stream) { pool.fill_pages(pages, stream); }

  DeviceBuffer pages, block_table;
};

// Arguments of the call; `schedule` says whether the set's, of num_workers, is used.
kernels::PagedMqaLogitsArgs paged_mqa_args(const PagedMqaRequests& requests,
                                           const PagedMqaCall& call, const PagedMqaCache& cache,
                                           const PagedMqaSet& set);

// Each page and query read once, each score written once.
std::uint64_t paged_mqa_bytes(const PagedMqaRequests& requests, const PagedMqaCall& call);
// Operations of the products.
double paged_mqa_flops(const PagedMqaRequests& requests, const PagedMqaCall& call);

// The schedule that paged_mqa_logits_metadata makes of these lengths [batch, next_n]:
// pairs of (request, split of 64 keys).
std::vector<std::int32_t> paged_mqa_schedule(std::span<const std::int32_t> token_lens,
                                             std::int64_t next_n, std::int64_t num_workers);

// Judges logits of a call, memory of PagedMqaSet that was filled with 0xFF bytes before the launch:
// every position whether it was written as it must be, and the scores of some requests against the
// float64 reference. Returns: empty, or what is wrong.
std::string judge_paged_mqa(const PagedMqaRequests& requests, const PagedMqaCall& call,
                            const MqaDevicePool& pool, std::span<const std::byte> logits,
                            std::span<const std::int64_t> sample);

}  // namespace jit::inline v1
