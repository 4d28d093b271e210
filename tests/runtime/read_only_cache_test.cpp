// Caches that may be read and not written: mounted so, closed by their owner, or another's.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <tuple>

#include "cache/mount_namespace.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using test::expect;
using testing::contains;
using testing::Scene;
using testing::tiny_constants;

constexpr uid_t kUser = 54'321;

using Marks = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

// Everything below a folder: size, last write and last change, to the nanosecond.
std::map<std::string, Marks> snapshot(const fs::path& folder) {
  std::map<std::string, Marks> found;
  const auto add = [&](const fs::path& path) {
    struct stat status {};
    ::lstat(path.c_str(), &status);
    found[path.string()] = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                            status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
  };
  add(folder);
  for (const auto& item : fs::recursive_directory_iterator(folder)) add(item.path());
  return found;
}

// A cache with one kernel, last used a day ago: a touch is due.
void fill(const Scene& scene) {
  fs::permissions(scene.directory.path(), fs::perms(0755));
  REQUIRE(testing::wait_for(testing::fork_child([&] {
            Runtime runtime(scene.options);
            return runtime.get_kernel("tiny", tiny_constants(8), {}, {.device = 0}) ? 0 : 1;
          })) == 0);
  REQUIRE(scene.entries().size() == 1);
  const timespec times[2] = {{::time(nullptr) - 86'400, 0}, {::time(nullptr) - 86'400, 0}};
  REQUIRE(::utimensat(AT_FDCWD, scene.entries().at(0).c_str(), times, 0) == 0);
}

// For a child: serves a hit and two misses, and changes nothing in the cache.
bool serves_without_a_trace(const Scene& scene, std::string_view warning) {
  testing::LogLines log;
  RuntimeOptions options = scene.options;
  options.log_sink = log.sink();
  const auto before = snapshot(options.cache_dir);
  bool good = true;
  {
    Runtime runtime(options);
    for (const int size : {8, 16, 32}) {
      const auto kernel = runtime.get_kernel("tiny", tiny_constants(size), {}, {.device = 0});
      good = expect(static_cast<bool>(kernel), "a kernel is served") && good;
    }
    const Stats stats = runtime.stats();
    good = expect(stats.disk_hits == 1, "the entry is a hit") && good;
    good = expect(stats.compiles == 2 && stats.published == 0, "the others are compiled") && good;
    // Now from memory.
    runtime.get_kernel("tiny", tiny_constants(16), {}, {.device = 0});
    good = expect(runtime.stats().memory_hits == 1, "a hit in memory") && good;
  }
  good = expect(snapshot(options.cache_dir) == before, "nothing is touched or written") && good;
  const auto warnings = log.warnings();
  good = expect(warnings.size() == 1, "there is one warning") && good;
  return expect(!warnings.empty() && contains(warnings[0], warning), "it names the reason") && good;
}

bool serves_as_user(const Scene& scene, std::string_view warning) {
  return testing::wait_for(testing::fork_child([&] {
           const bool root = ::geteuid() == 0;
           if (root && (::setgid(kUser) != 0 || ::setuid(kUser) != 0)) return 97;
           return serves_without_a_trace(scene, warning) ? 0 : 1;
         })) == 0;
}

void for_all_below(const fs::path& folder,
                   const std::function<void(const fs::path&, bool)>& change) {
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    change(item.path(), item.is_directory());
  }
  change(folder, true);
}

TEST_CASE("a cache on a read-only mount serves, and is left as it is") {
  const Scene scene;
  fill(scene);
  const fs::path& cache = scene.options.cache_dir;
  const test::Namespaced outcome = test::in_mount_namespace([&] {
    constexpr unsigned long kReadOnly = MS_BIND | MS_REMOUNT | MS_RDONLY;
    if (::mount(cache.c_str(), cache.c_str(), nullptr, MS_BIND, nullptr) != 0) test::not_allowed();
    if (::mount(nullptr, cache.c_str(), nullptr, kReadOnly, nullptr) != 0) test::not_allowed();
    return serves_without_a_trace(scene, "EROFS");
  });
  if (outcome == test::Namespaced::kNotAllowed) SKIP("this machine does not allow a bind mount");
  CHECK(outcome == test::Namespaced::kHeld);
}

TEST_CASE("a cache that its owner has closed to writing serves, and is left as it is") {
  const Scene scene;
  fill(scene);
  for_all_below(scene.options.cache_dir, [](const fs::path& path, bool is_directory) {
    if (::geteuid() == 0) REQUIRE(::chown(path.c_str(), kUser, kUser) == 0);
    REQUIRE(::chmod(path.c_str(), is_directory ? 0555 : 0444) == 0);
  });
  CHECK(serves_as_user(scene, "EACCES"));
  for_all_below(scene.options.cache_dir,
                [](const fs::path& path, bool) { REQUIRE(::chmod(path.c_str(), 0700) == 0); });
}

TEST_CASE("a cache of root's that all may read serves all, and is left as it is") {
  if (::geteuid() != 0) SKIP("needs root to make one");
  const Scene scene;
  fill(scene);
  for_all_below(scene.options.cache_dir, [](const fs::path& path, bool is_directory) {
    REQUIRE(::chmod(path.c_str(), is_directory ? 0755 : 0644) == 0);
  });
  CHECK(serves_as_user(scene, "EACCES"));
}

}  // namespace
}  // namespace jit
