// Every rule of eviction, one by one. Under load: eviction_torture_test.cpp.
#include "cache/eviction.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <thread>

#include "cache/cache_fixture.hpp"
#include "cache/eviction_fixture.hpp"
#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"
#include "cache/mount_namespace.hpp"
#include "cache/single_flight.hpp"

using namespace jit;
using namespace jit::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST_CASE("a cache within its bounds loses nothing") {
  const Cache cache(10);
  const EvictionResult result = cache.directory.evict({.max_bytes = 10 * cache.entry_bytes()});
  CHECK(result.done);
  CHECK(result.why.empty());
  CHECK(result.scanned_entries == 10);
  CHECK(result.removed_entries == 0);
  CHECK(result.remaining_bytes == result.scanned_bytes);
  CHECK(cache.left().size() == 10);
}

TEST_CASE("over the cap those used longest ago go, down to nine tenths of it") {
  const Cache cache(20);
  const std::uint64_t each = cache.entry_bytes();
  const EvictionResult result = cache.directory.evict({.max_bytes = 10 * each});
  CHECK(result.removed_entries == 11);
  CHECK(result.removed_bytes == 11 * each);
  CHECK(result.remaining_entries == 9);
  CHECK(result.remaining_bytes == 9 * each);
  CHECK(result.within_cap());
  CHECK(cache.left() == Numbers{11, 12, 13, 14, 15, 16, 17, 18, 19});
  CHECK(cache.directory.stats().evicted == 11);
  CHECK(cache.directory.stats().evicted_bytes == 11 * each);
}

TEST_CASE("a file takes what it takes on disk") {
  const Cache cache(1);
  struct stat status {};
  REQUIRE(::stat(cache.path(0).c_str(), &status) == 0);
  CHECK(cache.entry_bytes() >= static_cast<std::uint64_t>(status.st_size));
  CHECK(cache.entry_bytes() >= static_cast<std::uint64_t>(status.st_blocks) * 512);
}

TEST_CASE("an entry in use stays because it is touched, and only then") {
  for (const bool touching : {true, false}) {
    const Cache cache(20);
    DirectoryOptions options{.root = cache.folder.path()};
    if (!touching) options.touch_after = options.touch_after_change = 24h * 36'500;
    const Directory reader(options);
    const Entry hot = make_entry(0);
    REQUIRE(reader.find(hot.key, hot.artifact.toolchain, ToolchainPolicy::kExact));
    cache.directory.evict({.max_bytes = 10 * cache.entry_bytes()});
    CHECK(cache.has(0) == touching);
    CHECK(cache.left().size() == 9);
  }
}

TEST_CASE("an entry in use stays though the cache is replaced within the hour") {
  const Cache cache(20);
  // A minute and a half each, instead of a day.
  for (std::uint32_t i = 0; i < 20; ++i) set_age(cache.path(i), (20 - i) * 90);
  const Entry hot = make_entry(0);
  REQUIRE(cache.directory.find(hot.key, hot.artifact.toolchain, ToolchainPolicy::kExact));
  cache.directory.evict({.max_bytes = 10 * cache.entry_bytes()});
  CHECK(cache.left() == Numbers{0, 12, 13, 14, 15, 16, 17, 18, 19});
}

TEST_CASE("what was not used for long goes whatever the bounds") {
  const Cache cache(10);
  const EvictionResult result =
      cache.directory.evict({.unused_for = 84h});  // three days and a half
  CHECK(result.removed_entries == 7);
  CHECK(cache.left() == Numbers{7, 8, 9});
  CHECK(cache.directory.evict({.unused_for = 0s}).removed_entries == 3);
  CHECK(cache.directory.evict({.unused_for = std::chrono::seconds::max()}).removed_entries == 0);
}

TEST_CASE("a dry run counts the same and removes nothing") {
  const Cache cache(20);
  const std::uint64_t cap = 10 * cache.entry_bytes();
  const EvictionResult dry = cache.directory.evict({.max_bytes = cap, .dry_run = true});
  CHECK(cache.left().size() == 20);
  CHECK(cache.directory.stats().evicted == 0);
  const EvictionResult wet = cache.directory.evict({.max_bytes = cap});
  CHECK(dry.removed_entries == wet.removed_entries);
  CHECK(dry.removed_bytes == wet.removed_bytes);
  CHECK(dry.remaining_bytes == wet.remaining_bytes);
  CHECK(dry.remaining_entries == wet.remaining_entries);
}

TEST_CASE("a last use in the future counts as now, not as for ever") {
  const Cache cache(4);
  set_age(cache.path(0), -365 * kDay);
  CHECK(cache.directory.evict({.unused_for = 1s}).removed_entries == 3);
  CHECK(cache.left() == Numbers{0});
  CHECK(cache.directory.evict({.max_bytes = 0}).removed_entries == 1);
}

TEST_CASE("clocks that went back a year leave the order of use") {
  const Cache cache(10);
  for (std::uint32_t i = 0; i < 10; ++i) set_age(cache.path(i), i < 5 ? -kDay : kDay);
  cache.directory.evict({.max_bytes = 5 * cache.entry_bytes()});
  for (const std::uint32_t number : cache.left()) CHECK(number < 5);
}

TEST_CASE("the quarantine counts and goes before any entry, dead writers' files in any case") {
  const Cache cache(10);
  const std::uint64_t cap = 10 * cache.entry_bytes();
  const fs::path format = cache.folder / kFormatDirectory;
  make_file(format / "tmp" / "dead", 5000, 2 * 3600);
  make_file(format / "tmp" / "dead-too", 5000, -2 * 3600);
  make_file(format / "tmp" / "alive", 5000, 60);
  make_file(format / "quarantine" / "old", 5000, 2 * kDay);
  make_file(format / "quarantine" / "new", 5000, kDay);
  const EvictionResult slack = cache.directory.evict({});
  CHECK(slack.removed_files == 2);
  CHECK(files_in(format / "tmp") == 1);
  CHECK(files_in(format / "quarantine") == 2);
  // With the file being written and the quarantine it is over the cap.
  const EvictionResult tight = cache.directory.evict({.max_bytes = cap});
  CHECK(tight.scanned_bytes >= cap + 15'000);
  CHECK(tight.removed_files == 2);
  CHECK(tight.removed_entries >= 1);
  CHECK(tight.remaining_bytes <= cap - cap / 10);
  CHECK(files_in(format / "tmp") == 1);
}

TEST_CASE("what was used or replaced since it was counted is spared") {
  for (const bool replaced : {false, true}) {
    const Cache cache(5);
    const FaultInjector injector({.at_call = 6, .only = "fstatat", .meanwhile = [&] {
                                    if (replaced) cache.directory.publish(make_entry(0));
                                    else set_age(cache.path(0), 0);
                                  }});
    const EvictionResult result = cache.directory.evict({.max_bytes = 0});
    CHECK(injector.struck() == "fstatat");
    CHECK(result.spared_entries == 1);
    CHECK(result.removed_entries == 4);
    CHECK(result.failed == 0);
    CHECK(cache.left() == Numbers{0});
  }
}

TEST_CASE("what somebody else has removed is gone and no failure") {
  for (const char* function : {"fstatat", "unlinkat"}) {
    const Cache cache(5);
    const FaultInjector injector({.at_call = std::string(function) == "fstatat" ? 6 : 1,
                                  .only = function,
                                  .meanwhile = [&] { fs::remove(cache.path(0)); }});
    const EvictionResult result = cache.directory.evict({.max_bytes = 0});
    CHECK(result.failed == 0);
    CHECK(result.removed_entries == 4);
    CHECK(result.remaining_entries == 0);
    CHECK(result.remaining_bytes == 0);
  }
}

TEST_CASE("an entry that cannot be removed is counted, and others go in its place") {
  const Cache cache(20);
  const std::uint64_t each = cache.entry_bytes();
  const FaultInjector injector({.at_call = 1, .error = EACCES, .only = "unlinkat"});
  const EvictionResult result = cache.directory.evict({.max_bytes = 10 * each});
  CHECK(result.failed == 1);
  CHECK(result.error == EACCES);
  CHECK(result.remaining_bytes == 9 * each);
  CHECK(cache.has(0));
}

TEST_CASE("a directory of which nothing can be removed is not tried for ever") {
  const Cache cache(300);
  const FaultInjector injector({.at_call = 1, .error = EPERM, .only = "unlinkat", .always = true});
  const EvictionResult result = cache.directory.evict({.max_bytes = 0});
  CHECK(result.done);
  CHECK(result.failed == 256);
  CHECK(result.error == EPERM);
  CHECK_FALSE(result.within_cap());
  CHECK(cache.left().size() == 300);
}

TEST_CASE("what is no entry is neither counted nor removed") {
  const Cache cache(3);
  const std::uint64_t before = cache.directory.evict({.dry_run = true}).scanned_bytes;
  fs::remove(cache.path(1));
  fs::create_directories(cache.path(1) / "somebody's");
  make_file(cache.path(0).parent_path() / "notes.txt", 9000, 90 * kDay);
  const fs::path link = path_of(cache.folder.path(), make_entry(7));
  fs::create_directories(link.parent_path());
  fs::permissions(link.parent_path(), fs::perms(0700));
  fs::create_symlink(cache.path(0), link);
  const EvictionResult result = cache.directory.evict({.max_bytes = 0});
  CHECK(result.scanned_bytes == before / 3 * 2);
  CHECK(result.removed_entries == 2);
  CHECK(result.failed == 0);
  CHECK(fs::exists(cache.path(1) / "somebody's"));
  CHECK(fs::exists(cache.path(0).parent_path() / "notes.txt"));
  CHECK(fs::is_symlink(link));
}

TEST_CASE("a read-only cache is not evicted from, and says what to do") {
  const Cache cache(3);
  const Directory reader({.root = cache.folder.path(), .read_only = true});
  const EvictionResult result = reader.evict({.max_bytes = 0});
  CHECK_FALSE(result.done);
  CHECK(result.why.find("CUBINET_MODE=auto") != std::string::npos);
  CHECK(cache.left().size() == 3);
  CHECK(reader.evict({.max_bytes = 0, .dry_run = true}).removed_entries == 3);
}

TEST_CASE("a cache that is not to be trusted is left alone, one that is not there is empty") {
  const Cache cache(3);
  fs::permissions(cache.folder.path(), fs::perms(0777));
  const EvictionResult result = cache.directory.evict({.max_bytes = 0});
  CHECK_FALSE(result.done);
  CHECK(result.why.find("chmod o-w") != std::string::npos);
  CHECK(cache.left().size() == 3);
  fs::permissions(cache.folder.path(), fs::perms(0700));
  const Directory absent({.root = cache.folder / "absent"});
  CHECK(absent.evict({.max_bytes = 0}).done);
  CHECK_FALSE(fs::exists(cache.folder / "absent"));
}

TEST_CASE("one process evicts at a time, unless it insists") {
  const Cache cache(5);
  const auto held =
      FlightLock::acquire(cache.directory, eviction_lock_key(), FlightLock::Clock::now());
  REQUIRE(held.state() == LockState::kAcquired);
  const EvictionResult result = cache.directory.evict({.max_bytes = 0});
  CHECK(result.busy);
  CHECK_FALSE(result.done);
  CHECK(cache.left().size() == 5);
  const auto begin = std::chrono::steady_clock::now();
  const EvictionResult insisted =
      cache.directory.evict({.max_bytes = 0, .patience = 50ms, .insist = true});
  CHECK(std::chrono::steady_clock::now() - begin >= 50ms);
  CHECK(insisted.done);
  CHECK(cache.left().empty());
}

TEST_CASE("no lock to be had is no reason not to evict") {
  const Cache cache(5);
  const FaultInjector injector({.at_call = 1, .error = ENOLCK, .only = "fcntl", .always = true});
  const EvictionResult result = cache.directory.evict({.max_bytes = 0});
  CHECK(result.done);
  CHECK(result.removed_entries == 5);
}

TEST_CASE("an eviction ends when it is told to") {
  const Cache cache(5);
  std::atomic<bool> stop{true};
  const EvictionResult result = cache.directory.evict({.max_bytes = 0, .stop = &stop});
  CHECK(result.stopped);
  CHECK(cache.left().size() == 5);
  stop = false;
  const FaultInjector injector(
      {.at_call = 3, .only = "unlinkat", .meanwhile = [&] { stop = true; }});
  CHECK(cache.directory.evict({.max_bytes = 0, .stop = &stop}).removed_entries == 3);
}

TEST_CASE("evictors at once remove each entry once and no more than asked") {
  const Cache cache(400);
  const std::uint64_t each = cache.entry_bytes();
  std::atomic<std::uint64_t> removed{0};
  std::atomic<std::uint64_t> failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const EvictionResult result =
          cache.directory.evict({.max_bytes = 200 * each, .insist = true});
      removed += result.removed_entries;
      failed += result.failed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(removed == 220);
  CHECK(cache.left().size() == 180);
}

TEST_CASE("a full disk makes a tenth go") {
  const Cache cache(20);
  CHECK(cache.directory.evict({.disk_full = true}).removed_entries == 2);
}

TEST_CASE("where even an empty cache would not do, nothing goes for the floor's sake") {
  const Cache cache(5);
  const EvictionResult result = cache.directory.evict({.min_free_bytes = std::uint64_t{1} << 60});
  CHECK(result.done);
  CHECK(result.removed_entries == 0);
  CHECK(result.floor_bytes == std::uint64_t{1} << 60);
}

TEST_CASE("the floor of free space is held on a real small disk") {
  const Folder folder;
  const auto body = [&] {
    if (!mount_small_disk(folder.path(), "8m")) not_allowed();
    constexpr std::uint64_t kFloor = std::uint64_t{2} << 20;
    const Directory cache({.root = folder / "cache", .min_free_bytes = kFloor}, Logger::silent());
    const auto free_bytes = [&] { return fs::space(folder.path()).available; };
    PublishResult result;
    result.ok = true;
    std::uint32_t number = 0;
    while (result.ok && number < 1000) result = cache.publish(make_entry(number++, 50'000));
    bool good = expect(!result.ok && result.error == ENOSPC, "a publish is refused at the floor");
    good = expect(result.what.find("CUBINET_CACHE_MIN_FREE") != std::string::npos, result.what) &&
           good;
    good = expect(free_bytes() >= kFloor, "publishes leave the floor") && good;
    good = expect(free_bytes() < kFloor + 65'536, "and no more than they must") && good;
    const EvictionResult evicted = cache.evict({.room_bytes = result.bytes});
    good = expect(free_bytes() >= kFloor + kFloor / 8, "an eighth more is freed") && good;
    good = expect(free_bytes() <= kFloor + kFloor / 8 + 131'072, "and not much more") && good;
    good =
        expect(evicted.removed_entries > 0 && evicted.remaining_entries > 50, "some stay") && good;
    return expect(cache.publish(make_entry(number, 50'000)).ok, "then there is room") && good;
  };
  const Namespaced outcome = in_mount_namespace(body);
  if (outcome == Namespaced::kNotAllowed) SKIP("this machine does not allow mounts");
  CHECK(outcome == Namespaced::kHeld);
}

TEST_CASE("the usual floor is a twentieth of a small file system and 256 MiB of a large one") {
  CHECK(free_space_floor({}, {0, std::uint64_t{1} << 40}) == std::uint64_t{256} << 20);
  CHECK(free_space_floor({}, {0, 20'000}) == 1000);
  CHECK(free_space_floor(5, {0, 20'000}) == 5);
}
