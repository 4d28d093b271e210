// A cache on a network file system: the processes of one node still compile once.
#include <cstdlib>
#include <vector>

#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::Scene;
using testing::tiny_constants;

TEST_CASE("processes of one node share one compile though the cache is on the network") {
  constexpr std::int64_t kNfs = 0x6969;
  constexpr int kProcesses = 4;
  const Scene scene;
  const fs::path run = scene.directory / "run";
  fs::create_directory(run);
  const testing::SharedCounters counters;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(testing::fork_child([&] {
      ::setenv("XDG_RUNTIME_DIR", run.c_str(), 1);
      RuntimeOptions options = scene.options;
      options.log_sink = testing::count_compiles(counters);
      // The network is simulated in this thread alone: nothing is to look after bounds in another.
      options.max_cache_bytes = UINT64_MAX;
      options.min_free_bytes = 0;
      Runtime runtime(options);
      while (!counters->go) continue;
      const test::FaultInjector network(
          {.file_system_type = kNfs, .below = {options.cache_dir.string()}});
      return runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0}) ? 0 : 1;
    }));
  }
  counters->go = true;
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  CHECK(counters->compiles == 1);
  CHECK(scene.entries().size() == 1);
  CHECK(fs::exists(run / "cubinet/locks"));
  CHECK_FALSE(fs::exists(scene.options.cache_dir / kFormatDirectory / "locks"));
}

}  // namespace
}  // namespace jit
