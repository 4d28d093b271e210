// The NVRTC that tests compile with.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "base/environment.hpp"
#include "compile/toolchain.hpp"

namespace jit::testing {

// The NVRTC that CUBINET_NVRTC names, else the one that is found. These tests need one.
inline ToolchainLocation toolchain_at_hand() {
  std::vector<PlaceTried> tried;
  ToolchainSearch search;
  search.explicit_path = get_env("CUBINET_NVRTC").value_or("");
  auto location = find_toolchain(search, &tried);
  for (const PlaceTried& place : tried) UNSCOPED_INFO(place.text());
  REQUIRE(location);
  return *location;
}

}  // namespace jit::testing
