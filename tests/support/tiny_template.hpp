// A template that NVRTC compiles in some ten milliseconds, with one constant of every type.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "support/temporary_directory.hpp"

namespace jit::testing {

inline constexpr std::string_view kTinyManifest = R"({
  "format": 1,
  "name": "tiny",
  "summary": "writes its constants",
  "entry": {
    "include": "tiny/tiny.cuh",
    "function": "tiny::run",
    "params": "tiny::Params",
    "max_threads": "THREADS"
  },
  "constants": [
    {"name": "SIZE", "role": "shape", "type": "int",
     "range": {"min": 8, "max": 4096, "step": 8}, "doc": "a size"},
    {"name": "ELEMENT_TYPE_OF_INPUT", "role": "shape", "type": "dtype",
     "values": ["f32", "i32", "u8"], "default": "f32", "doc": "a type"},
    {"name": "FLAG", "role": "shape", "type": "bool", "default": false, "doc": "a flag"},
    {"name": "ORDER", "role": "shape", "type": "enum",
     "values": ["row_major", "column_major"], "default": "row_major", "doc": "an order"},
    {"name": "THREADS", "role": "tunable", "type": "int", "values": [32, 64, 128],
     "default": 64, "doc": "threads"},
    {"name": "STAGES", "role": "tunable", "type": "int", "values": [1, 2, 3],
     "default": 1, "doc": "stages"}
  ],
  "run_time": [
    {"name": "num_tokens", "doc": "tokens"},
    {"name": "batch", "doc": "requests"}
  ],
  "buckets": [
    {"name": "phase", "size": "num_tokens", "default": "decode", "doc": "few or many",
     "steps": [{"label": "decode", "up_to": 64}, {"label": "mixed", "up_to": 1024},
               {"label": "prefill"}]}
  ],
  "selection": [
    {"when": {"phase": "prefill", "SIZE": {"min": 1024, "max": 4096, "step": 8}},
     "set": {"THREADS": 128, "STAGES": 3}},
    {"when": {"phase": ["mixed", "prefill"]}, "set": {"THREADS": 128}},
    {"when": {"FLAG": true, "ORDER": "column_major"}, "set": {"STAGES": 2}}
  ],
  "presets": [
    {"name": "small", "doc": "the smallest", "constants": {"SIZE": 8}},
    {"name": "pinned", "constants": {"SIZE": 16, "THREADS": 32}}
  ]
}
)";

inline constexpr std::string_view kTinyParams = R"(#pragma once
namespace tiny {
struct Params {
  float* out;
  unsigned int num_tokens;
  unsigned int batch;
};
static_assert(sizeof(Params) == 16, "shared with the host");
}  // namespace tiny
)";

inline constexpr std::string_view kTinyBody = R"(#pragma once
#include "tiny/params.h"

namespace tiny {
template <class Config>
__device__ void run(const Params& params) {
  static_assert(Config::SIZE % 8 == 0, "whole vectors");
  using Element = typename Config::ELEMENT_TYPE_OF_INPUT;
  const bool rows = Config::ORDER == Config::ORDER_values::row_major;
  if (threadIdx.x < params.num_tokens) {
    params.out[threadIdx.x] = float(Element(Config::SIZE)) + (Config::FLAG ? 1.0f : 0.0f) +
                              (rows ? 2.0f : 3.0f) + Config::STAGES;
  }
}
}  // namespace tiny
)";

// The host's side of kTinyParams.
struct TinyParams {
  float* out = nullptr;
  unsigned int num_tokens = 0;
  unsigned int batch = 0;
};

// `text` with every `from` replaced.
inline std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string result(text);
  for (std::size_t at = 0; (at = result.find(from, at)) != std::string::npos; at += to.size()) {
    result.replace(at, from.size(), to);
  }
  return result;
}

// Writes the template below `directory`/templates. Returns that folder of templates.
inline std::filesystem::path write_tiny(const TemporaryDirectory& directory,
                                        std::string_view manifest = kTinyManifest,
                                        std::string_view body = kTinyBody) {
  directory.write("templates/tiny/manifest.json", manifest);
  directory.write("templates/tiny/params.h", kTinyParams);
  directory.write("templates/tiny/tiny.cuh", body);
  return directory / "templates";
}

}  // namespace jit::testing
