// A template whose author made a length of the request a compile-time constant, as happens.
#pragma once

#include <filesystem>
#include <string_view>

#include "support/temporary_directory.hpp"

namespace jit::testing {

inline constexpr std::string_view kLeakyManifest = R"({
  "format": 1,
  "name": "leaky",
  "summary": "copies as many values as were asked for when it was compiled",
  "entry": {"include": "leaky/leaky.cuh", "function": "leaky::run", "params": "leaky::Params"},
  "constants": [
    {"name": "HEAD_SIZE", "role": "shape", "type": "int", "values": [64, 128], "doc": "a shape"},
    {"name": "SEQ_LEN", "role": "shape", "type": "int",
     "range": {"min": 1, "max": 65536, "step": 1}, "doc": "the length of this request"},
    {"name": "SEQ_LEN_ROUNDED", "role": "shape", "type": "int",
     "range": {"min": 0, "max": 65536, "step": 64}, "default": 0, "doc": "what follows from it"},
    {"name": "USE_BIAS", "role": "shape", "type": "bool", "default": false, "doc": "a flag"}
  ],
  "run_time": [], "buckets": [], "selection": [], "presets": []
}
)";

inline constexpr std::string_view kLeakyParams = R"(#pragma once
namespace leaky {
struct Params {
  float* out;
  const float* in;
};
static_assert(sizeof(Params) == 16, "shared with the host");
}  // namespace leaky
)";

inline constexpr std::string_view kLeakyBody = R"(#pragma once
#include "leaky/params.h"

namespace leaky {
template <class Config>
__device__ void run(const Params& params) {
  for (int i = threadIdx.x; i < Config::SEQ_LEN; i += blockDim.x) params.out[i] = params.in[i];
}
}  // namespace leaky
)";

// Writes it below `directory`/templates. Returns that folder of templates.
inline std::filesystem::path write_leaky(const TemporaryDirectory& directory) {
  directory.write("templates/leaky/manifest.json", kLeakyManifest);
  directory.write("templates/leaky/params.h", kLeakyParams);
  directory.write("templates/leaky/leaky.cuh", kLeakyBody);
  return directory / "templates";
}

}  // namespace jit::testing
