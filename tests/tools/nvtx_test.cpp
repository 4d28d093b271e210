// Ranges reach a profiler, if the build found NVTX.
#include "base/nvtx.hpp"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <sstream>

#include "support/paths.hpp"
#include "support/temporary_directory.hpp"
#include "tools/command_fixture.hpp"

using namespace jit;
using namespace jit::testing;

TEST_CASE("doctor says whether NVTX ranges are built in") {
  const CommandFixture fixture;
  const bool said = fixture.run({"doctor"}).out_has("ranges for NVTX tools");
  CHECK(said == has_nvtx());
}

#if defined(JIT_TEST_HAS_NVTX_TOOL)
TEST_CASE("a tool gets the ranges of a compile, each with its end") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const std::filesystem::path log = fixture.folder() / "ranges";
  fixture.environment["NVTX_INJECTION64_PATH"] = kNvtxToolPath;
  fixture.environment["NVTX_TOOL_LOG"] = log.string();
  REQUIRE(
      fixture.run({"precompile", "tiny", "--preset", "small", "--arch", "sm_90", "-j", "1"}).code ==
      0);
  std::multiset<std::string> begun;
  std::size_t ended = 0;
  std::istringstream lines(read_text(log));
  for (std::string line; std::getline(lines, line);) {
    if (line == "-") ++ended;
    else begun.insert(line);
  }
  CHECK(begun.count("domain cubinet") > 0);  // once in each process that the command is
  begun.erase("domain cubinet");
  for (const char* range : {"+render", "+find", "+compile", "+check", "+publish"}) {
    CAPTURE(range);
    CHECK(begun.count(range) > 0);
  }
  CHECK(begun.size() == ended);
}
#endif
