// What it would have cost to have the token count in the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct TokensInKeyOptions {
  const Runtime& like;
  std::string preset;  // of merge_attn_states
  int counts = 20;
  std::uint64_t seed = 1;  // of the requests, as in bench_requests
};

// One row for merge_attn_states as it is, tuned once per bucket step, and one for the same kernel
// with its token count as a constant, tuned with the same tuner for each of some token counts of
// the requests. Works below `directory`. Requires: the benchmark's own templates are registered.
void bench_tokens_in_key(Driver& driver, const TokensInKeyOptions& options,
                         const std::filesystem::path& directory, BenchReport& report);

}  // namespace jit::inline v1
