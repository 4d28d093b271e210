// The cache keeps its bounds while a Runtime works, and nobody waits for it.
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cache/eviction.hpp"
#include "cache/single_flight.hpp"
#include "runtime/housekeeper.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Scene;
using testing::tiny_constants;

// Waits for what happens in the background, ten seconds at most.
template <class Condition>
bool soon(const Condition& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

Directory directory_of(const Scene& scene) {
  return Directory({.root = scene.options.cache_dir}, Logger::silent());
}

std::uint64_t bytes_in(const Scene& scene) {
  return directory_of(scene).evict({.dry_run = true}).scanned_bytes;
}

std::size_t threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : fs::directory_iterator("/proc/self/task")) ++count;
  return count;
}

void precompile(Runtime& runtime, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    runtime.precompile("tiny", tiny_constants(8 * (i + 1)), {}, "sm_90");
  }
}

// What one entry of the tiny template takes on disk.
std::uint64_t entry_bytes() {
  Scene scene;
  Runtime runtime(scene.options);
  precompile(runtime, 0, 1);
  return bytes_in(scene);
}

void make_old(const Scene& scene) {
  for (const fs::path& path : scene.entries()) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(48));
  }
}

TEST_CASE("the cap is kept in the background, the newest kernels with it") {
  Scene scene;
  scene.use(0);
  const std::uint64_t cap = 4 * entry_bytes();
  scene.options.max_cache_bytes = cap;
  const auto caller = std::this_thread::get_id();
  std::atomic<int> lines{0};
  std::atomic<bool> on_caller{false};
  scene.options.log_sink = [&](LogLevel, std::string_view line) {
    if (!line.starts_with("evict from")) return;
    ++lines;
    if (std::this_thread::get_id() == caller) on_caller = true;
  };
  Runtime runtime(scene.options);
  for (int i = 0; i < 12; ++i) CHECK(runtime.get_kernel("tiny", tiny_constants(8 * (i + 1))));
  CHECK(soon([&] { return bytes_in(scene) <= cap && lines > 0; }));
  const Stats stats = runtime.stats();
  CHECK(stats.published == 12);
  CHECK(stats.evicted >= 8);
  CHECK(stats.evicted_bytes >= 2 * cap);
  CHECK_FALSE(on_caller);
  CHECK(scene.entries().size() >= 2);
  // What was evicted is still served from memory.
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  CHECK(runtime.stats().compiles == 12);
}

TEST_CASE("without a cap nothing is evicted, and a reader has no thread for it") {
  Scene scene;
  scene.use(0);
  scene.options.max_cache_bytes = UINT64_MAX;
  {
    Runtime runtime(scene.options);
    precompile(runtime, 0, 6);
    CHECK(runtime.stats().evicted == 0);
  }
  CHECK(scene.entries().size() == 6);
  scene.options.max_cache_bytes = 1;
  Runtime reader(scene.options);
  const std::size_t before = threads();
  CHECK(reader.get_kernel("tiny", tiny_constants(8)).info().arch == "sm_90");
  CHECK(reader.stats().disk_hits == 1);
  CHECK(threads() == before);
  CHECK(scene.entries().size() == 6);
}

TEST_CASE("a look waits for no other process, and is done once that one is gone") {
  Scene scene;
  const std::uint64_t cap = 3 * entry_bytes();
  scene.options.max_cache_bytes = cap;
  Runtime runtime(scene.options);
  {
    const Directory directory = directory_of(scene);
    const auto held = FlightLock::acquire(directory, eviction_lock_key(),
                                          FlightLock::Clock::now() + std::chrono::seconds(5));
    REQUIRE(held.state() == LockState::kAcquired);
    precompile(runtime, 0, 8);
    CHECK(scene.entries().size() == 8);
  }
  precompile(runtime, 8, 2);
  CHECK(soon([&] { return bytes_in(scene) <= cap; }));
}

TEST_CASE("a forked child keeps the cap as well") {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("AddressSanitizer's allocator keeps a lock in the child whose thread the fork left behind");
#endif
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  scene.options.log_sink = [](LogLevel, std::string_view) {};
  const std::uint64_t cap = 4 * entry_bytes();
  scene.options.max_cache_bytes = cap;
  Runtime runtime(scene.options);
  precompile(runtime, 0, 3);
  const pid_t child = testing::fork_child([&] {
    precompile(runtime, 3, 9);
    return soon([&] { return bytes_in(scene) <= cap; }) ? 0 : 1;
  });
  CHECK(testing::wait_for(child) == 0);
}

// A small disk of the scene's own.
class Disk {
 public:
  Disk(const Scene& scene, const char* data) : where_(scene.options.cache_dir) {
    fs::create_directories(where_);
    mounted_ = ::mount("tmpfs", where_.c_str(), "tmpfs", 0, data) == 0;
  }
  ~Disk() {
    if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
  }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  explicit operator bool() const { return mounted_; }
  std::uint64_t free_bytes() const { return fs::space(where_).available; }
  // Leaves so much free.
  void fill(std::uint64_t leave) const {
    std::ofstream(where_ / "filler") << std::string(free_bytes() - leave, 'x');
  }

 private:
  fs::path where_;
  bool mounted_ = false;
};

TEST_CASE("where there is no room above the floor a kernel is served and not kept") {
  Scene scene;
  scene.use(0);
  const Disk disk(scene, "size=8m,mode=0700");
  if (!disk) SKIP("mounting is not allowed here");
  scene.options.min_free_bytes = std::uint64_t{1} << 20;
  disk.fill(std::uint64_t{1} << 20);
  Runtime runtime(scene.options);
  for (int i = 1; i < 4; ++i) CHECK(runtime.get_kernel("tiny", tiny_constants(8 * i)));
  CHECK(runtime.stats().compiles == 3);
  CHECK(runtime.stats().published == 0);
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "CUBINET_CACHE_MIN_FREE"));
  CHECK(contains(warnings[0], "stays in memory only"));
  // One who cannot do without is told why, and what to do.
  const Error error =
      testing::error_of([&] { runtime.precompile("tiny", tiny_constants(64), {}, "sm_90"); });
  CHECK(error.code() == ErrorCode::kIo);
  CHECK(contains(error.what(), "CUBINET_CACHE_MIN_FREE"));
}

TEST_CASE("precompile makes room for what it was asked for") {
  Scene scene;
  const Disk disk(scene, "size=8m,mode=0700");
  if (!disk) SKIP("mounting is not allowed here");
  {
    Runtime runtime(scene.options);
    precompile(runtime, 0, 20);
  }
  REQUIRE(scene.entries().size() == 20);
  make_old(scene);
  const std::uint64_t floor = std::uint64_t{1} << 16;
  disk.fill(floor + 4096);
  scene.options.min_free_bytes = floor;
  Runtime runtime(scene.options);
  precompile(runtime, 20, 4);
  CHECK(runtime.stats().published == 4);
  CHECK(runtime.stats().evicted >= 1);
  CHECK(disk.free_bytes() >= floor);
  CHECK(scene.entries().size() < 24);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("free space that comes near its floor is made in the background") {
  Scene scene;
  const Disk disk(scene, "size=8m,mode=0700");
  if (!disk) SKIP("mounting is not allowed here");
  {
    Runtime runtime(scene.options);
    precompile(runtime, 0, 40);
  }
  make_old(scene);
  const std::uint64_t floor = std::uint64_t{1} << 18;
  disk.fill(floor + floor / 8);
  scene.options.min_free_bytes = floor;
  Runtime runtime(scene.options);
  for (int i = 40; i < 60; ++i) {
    precompile(runtime, i, 1);
    CHECK(disk.free_bytes() >= floor);
  }
  CHECK(runtime.stats().published == 20);
  CHECK(soon([&] { return disk.free_bytes() >= floor + floor / 16; }));
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("a runtime ends at once although a look is due") {
  Scene scene;
  scene.options.max_cache_bytes = 1;
  const auto begin = std::chrono::steady_clock::now();
  {
    Runtime runtime(scene.options);
    precompile(runtime, 0, 1);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

}  // namespace
}  // namespace jit
