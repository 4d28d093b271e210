// What tests of statistics share: a filled cache, one request to it, and what was counted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "cache/statistics.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit::testing {

// The misses of this name. Checks that there are no others.
inline std::uint64_t named_miss(const Runtime& runtime, std::string_view name) {
  std::uint64_t others = 0;
  std::uint64_t count = 0;
  for (const NamedCount& miss : runtime.stats().named_misses) {
    (miss.name == name ? count : others) += miss.count;
  }
  CHECK(others == 0);
  return count;
}

inline Counts on_disk(const RuntimeOptions& options) {
  return read_statistics(Directory({.root = options.cache_dir})).all;
}

// Puts one entry into the cache. Returns its path.
inline std::filesystem::path fill(const Scene& scene) {
  Runtime(scene.options).precompile("tiny", tiny_constants(), {}, "sm_90");
  REQUIRE(scene.entries().size() == 1);
  return scene.entries().at(0);
}

// Precompiles what fill() made: a hit, or a miss that is made good.
inline void ask(Runtime& runtime) { runtime.precompile("tiny", tiny_constants(), {}, "sm_90"); }

}  // namespace jit::testing
