// Entries that a network file system takes away while they are read: the kernel is served.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "cache/fault_injection.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::Scene;
using testing::tiny_constants;

void fill(const Scene& scene) {
  Runtime runtime(scene.options);
  for (const int size : {8, 128}) REQUIRE(runtime.get_kernel("tiny", tiny_constants(size)));
}

struct Served {
  bool kernel = false;
  Stats stats;
};

Served get_with(const Scene& scene, const test::Fault& fault) {
  Runtime runtime(scene.options);
  // The template is read with the first kernel that is asked for.
  REQUIRE(runtime.get_kernel("tiny", tiny_constants(8)));
  Served served;
  {
    const test::FaultInjector injector(fault);
    served.kernel = static_cast<bool>(runtime.get_kernel("tiny", tiny_constants()));
    CHECK(injector.struck() == fault.only);
  }
  served.stats = runtime.stats();
  return served;
}

std::uint64_t count_of(const Stats& stats, std::string_view name) {
  for (const NamedCount& miss : stats.named_misses) {
    if (miss.name == name) return miss.count;
  }
  return 0;
}

TEST_CASE("an entry that stays stale is a miss by name: compiled, served and published anew") {
  Scene scene;
  scene.use(0);
  fill(scene);
  REQUIRE(scene.entries().size() == 2);
  const test::Fault stale{.at_call = 1, .error = ESTALE, .only = "read", .always = true};
  const Served served = get_with(scene, stale);
  CHECK(served.kernel);
  CHECK(served.stats.compiles == 1);
  CHECK(served.stats.published == 1);
  CHECK(count_of(served.stats, "unreadable") == 1);
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "ESTALE"));
  CHECK(scene.entries().size() == 2);
  CHECK(scene.quarantined() == 0);
  // The new one serves the next.
  Runtime next(scene.options);
  CHECK(next.get_kernel("tiny", tiny_constants()));
  CHECK(next.stats().disk_hits == 1);
}

TEST_CASE("an entry that is stale once is a hit") {
  Scene scene;
  scene.use(0);
  fill(scene);
  const Served served = get_with(scene, {.at_call = 1, .error = ESTALE, .only = "read"});
  CHECK(served.kernel);
  CHECK(served.stats.disk_hits == 2);
  CHECK(served.stats.compiles == 0);
  CHECK(scene.log.warnings().empty());
}

}  // namespace
}  // namespace jit
