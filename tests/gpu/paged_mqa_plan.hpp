// The extra grid of paged_mqa_logits: every shape there is, with every edge there is.
#pragma once

#include <array>
#include <set>
#include <vector>

#include "gpu/paged_mqa_case.hpp"

namespace jit::test {

// What the lengths of a batch look like.
enum class LengthPattern : std::uint8_t {
  kEdges,       // 0, 1 and those around tiles, pages and splits
  kFirstZero,   // the first request has no keys
  kMiddleZero,  // every third one
  kLastZero,
  kAllZero,
  kOutOfRange,  // below 0, and beyond max_context_len
  kAny,         // uniform
  kOneLong,     // short ones, and one of 8192
};
inline constexpr std::uint8_t kLengthPatterns = 8;

// The constants that choose a kernel.
struct PagedMqaSignature {
  std::int64_t next_n, num_heads, head_dim, block_kv;
  DType type;
  bool clean, scheduled, programmatic;

  auto operator<=>(const PagedMqaSignature&) const = default;
};
PagedMqaSignature signature_of(const PagedMqaCase& paged);
std::set<PagedMqaSignature> signatures_of(const std::vector<PagedMqaCase>& cases);
std::array<Constant, 8> constants_of(const PagedMqaSignature& signature);

// Fresh lengths for the case's batch and next_n; sets max_context_len as well.
void set_lengths(PagedMqaCase& paged, LengthPattern pattern, std::uint64_t seed);

// Each of next_n 1 to 6, heads 16, 32, 64, head dims 32, 64, 128 and blocks 32, 64, three times,
// with everything else drawn at random so that each value meets each of them; then what is rare:
// 131,072 keys, 4096 requests.
std::vector<PagedMqaCase> plan_paged_mqa_cases(std::uint64_t seed);

}  // namespace jit::test
