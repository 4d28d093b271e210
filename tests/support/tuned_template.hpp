// The tiny template with a tuning space of nine variants, some of which are planted to fail.
#pragma once

#include <string>

#include "support/tiny_template.hpp"

namespace jit::testing {

// Three bucket steps; four representative sizes.
inline std::string tuned_manifest() {
  return with(kTinyManifest, "\"presets\": [", R"("tuning": {"sizes": [
    {"num_tokens": 4, "batch": 1}, {"num_tokens": 64, "batch": 2},
    {"num_tokens": 512, "batch": 1}, {"num_tokens": 8192, "batch": 1}
  ]},
  "presets": [)");
}

// With STAGES=3 it keeps more values at hand than a thread has registers; THREADS=32 with STAGES=2
// it refuses.
inline std::string tuned_body() {
  return with(kTinyBody, "  static_assert(",
              R"(  static_assert(Config::THREADS != 32 || Config::STAGES != 2,
                "two stages need two warps");
  if constexpr (Config::STAGES == 3) {
    volatile float* values = params.out;
    float kept[320];
#pragma unroll
    for (int i = 0; i < 320; ++i) kept[i] = values[i];
#pragma unroll
    for (int i = 0; i < 320; ++i) values[319 - i] = kept[i] + 1.0f;
  }
  static_assert()");
}

inline std::filesystem::path write_tuned(const TemporaryDirectory& directory) {
  return write_tiny(directory, tuned_manifest(), tuned_body());
}

}  // namespace jit::testing
