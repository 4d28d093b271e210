// Several releases of NVRTC at once: those that tools/test.sh toolchains has fetched.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compile/toolchain.hpp"
#include "tools/command_fixture.hpp"

namespace jit::testing {

struct FetchedNvrtc {
  std::string version;        // "12.4.127"
  std::filesystem::path lib;  // the directory of its libraries
  ToolchainLocation location;
  CompilerRelease release() const { return location.id.release; }
  std::string id() const { return location.id.text(); }
};

// Those that CUBINET_TEST_TOOLCHAINS names, one of each release, in rising order.
const std::vector<FetchedNvrtc>& releases();
// Another build of one of them.
const FetchedNvrtc& twin();
const FetchedNvrtc& release_of(CompilerRelease release);

inline const std::vector<Arch> kArchs{{8, 0, 0}, {9, 0, 'a'}, {10, 0, 'a'}, {12, 0, 'a'}};
// "sm_80,sm_90a": those of kArchs that the release knows.
std::string known_of_kArchs(CompilerRelease release);

// Lets the command use this NVRTC and no other.
void use(CommandFixture& fixture, const FetchedNvrtc& nvrtc);
// Lets it find none at all.
void use_none(CommandFixture& fixture);

inline const std::string kTemplate = "merge_attn_states";
inline const std::string kPreset = "bf16_d128";

// Precompiles kPreset for sm_90a. Returns: the report. Requires: success.
nlohmann::json precompile(const CommandFixture& fixture);
// Who made what the command was given or made: "hit nvrtc-12.4-1f3a9c0d".
std::string answer(const CommandFixture& fixture);

}  // namespace jit::testing
