// Many victims at once: their order, what each costs, and what comes meanwhile.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "cache/cache_fixture.hpp"
#include "cache/eviction.hpp"
#include "cache/eviction_fixture.hpp"
#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"

using namespace jit;
using namespace jit::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST_CASE("entries go in the order of their last use, batch after batch") {
  constexpr std::uint32_t kEntries = 6000;  // more than a batch
  const Folder folder;
  const Directory cache({.root = folder.path(), .min_free_bytes = 0});
  const auto path = [&](std::uint32_t i) { return path_of(folder.path(), make_entry(i)); };
  for (std::uint32_t i = 0; i < kEntries; ++i) make_file(path(i), 1, 2 * (kEntries - i));
  fs::permissions(folder / kFormatDirectory, fs::perms(0700));
  const auto left = [&] {
    Numbers numbers;
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      if (fs::exists(path(i))) numbers.push_back(i);
    }
    return numbers;
  };
  const std::uint64_t each = cache.evict({.dry_run = true}).scanned_bytes / kEntries;
  std::atomic<bool> stop{false};
  {
    const FaultInjector injector(
        {.at_call = 4500, .only = "unlinkat", .meanwhile = [&] { stop = true; }});
    CHECK(cache.evict({.max_bytes = 0, .stop = &stop}).removed_entries == 4500);
  }
  Numbers expected = left();
  CHECK(expected.size() == kEntries - 4500);
  CHECK(expected.front() >= 4096);
  CHECK(cache.evict({.max_bytes = 1000 * each}).removed_entries == 600);
  expected.erase(expected.begin(), expected.begin() + 600);
  CHECK(left() == expected);
}

TEST_CASE("a shard is opened once for all of a batch") {
  const auto opens = [](std::uint32_t entries) {
    Folder folder;
    const Directory cache({.root = folder.path(), .min_free_bytes = 0});
    for (std::uint32_t i = 0; i < entries; ++i) {
      make_file(path_of(folder.path(), make_entry(i)), 1, 60);
    }
    fs::permissions(folder / kFormatDirectory, fs::perms(0700));
    const FaultInjector counter({.only = "openat"});
    CHECK(cache.evict({.max_bytes = 0}).removed_entries == entries);
    return counter.calls();
  };
  // Two for each of 256 shards, to scan it and to read its names, and one to evict from it.
  CHECK(opens(3000) <= 3 * 256 + 20);
}

TEST_CASE("an eviction that takes long looks again at what was published meanwhile") {
  const Cache cache(20);
  const std::uint64_t each = cache.entry_bytes();
  const FaultInjector injector({.at_call = 3, .only = "unlinkat", .meanwhile = [&] {
                                  std::this_thread::sleep_for(600ms);
                                  for (std::uint32_t i = 20; i < 30; ++i) {
                                    cache.directory.publish(make_entry(i));
                                  }
                                }});
  const EvictionResult result = cache.directory.evict({.max_bytes = 10 * each});
  CHECK(result.scanned_entries == 20);
  CHECK(result.removed_entries == 21);
  CHECK(result.remaining_entries == 9);
  CHECK(result.remaining_bytes == 9 * each);
  CHECK(cache.directory.evict({.dry_run = true}).scanned_entries == 9);
}
