// Many processes count, fold and are killed at once; the sum stays between what was surely written
// and what may have been.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <new>
#include <random>

#include "cache/cache_fixture.hpp"
#include "cache/layout.hpp"
#include "cache/statistics.hpp"
#include "cache/statistics_file.hpp"

using namespace jit;
using namespace jit::test;

namespace {

constexpr int kWriters = 8;

struct Shared {
  std::atomic<std::uint64_t> begun{0};    // may have been written
  std::atomic<std::uint64_t> written{0};  // was written
  std::atomic<std::uint64_t> last_seen{0};
  std::atomic<std::uint64_t> lies{0};
};

Shared* make_shared_memory() {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return new (memory) Shared;
}

Counts hits(std::uint64_t count) {
  Counts counts;
  counts.add("memory_hits", count);
  return counts;
}

// Leaves files, rewrites them and folds until it is killed.
bool count_and_fold(const Directory& directory, Shared& shared) {
  for (std::uint64_t round = 0;; ++round) {
    StatisticsFile file(directory);
    for (std::uint64_t i = 1; i <= 3; ++i) {
      ++shared.begun;
      if (file.write(hits(i)) == 0) ++shared.written;
    }
    if (round % 4 == 0) fold_statistics(directory);
  }
}

// Reads all the time: no sum may be less than what had been written before it was taken, or more
// than what had been begun after it.
bool read_all_the_time(const Directory& directory, Shared& shared) {
  while (true) {
    const std::uint64_t least = shared.written;
    const std::uint64_t sum = read_statistics(directory).all.at("memory_hits");
    if (sum < least || sum > shared.begun) ++shared.lies;
  }
}

}  // namespace

TEST_CASE("eight processes fold many files and are killed at random moments: the sum is right") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  Shared& shared = *make_shared_memory();
  std::mt19937 random(1);
  std::vector<pid_t> children;
  const auto begin = [&] { return start([&] { return count_and_fold(directory, shared); }); };
  for (int i = 0; i < kWriters; ++i) children.push_back(begin());
  const pid_t reader = start([&] { return read_all_the_time(directory, shared); });
  constexpr int kKills = JIT_TEST_SANITIZED ? 40 : 60;
  std::uint64_t killed_in_write = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    ::usleep(static_cast<useconds_t>(random() % 5000));
    pid_t& child = children[random() % children.size()];
    kill_and_reap(child);
    ++killed_in_write;
    child = begin();
  }
  kill_and_reap(reader);
  for (const pid_t child : children) kill_and_reap(child);
  const StatisticsSum sum = read_statistics(directory);
  const std::uint64_t counted = sum.all.at("memory_hits");
  INFO("written " << shared.written << ", begun " << shared.begun << ", counted " << counted);
  CHECK(shared.lies == 0);
  CHECK(counted >= shared.written);
  CHECK(counted <= shared.begun);
  CHECK(shared.begun - shared.written <= killed_in_write + kWriters);
  CHECK(shared.written > 200);
  CHECK(sum.skipped == 0);
  CHECK(sum.all.at(kLostRecords) == 0);
  CHECK(sum.runtimes == 0);
  // All that is left can be folded, and then nothing but the total is left.
  while (fold_statistics(directory).folded != 0) continue;
  CHECK(read_statistics(directory).all.at("memory_hits") == counted);
  ::munmap(&shared, sizeof(Shared));
}

TEST_CASE("damaged files of the dead hold up nobody") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  REQUIRE(StatisticsFile(directory).write(hits(1)) == 0);
  constexpr int kFiles = 200;  // a loss of power leaves such: empty
  for (int i = 0; i < kFiles; ++i) {
    const std::filesystem::path path =
        folder / kFormatDirectory / "stats" / fmt::format("{:016x}.stats", i);
    UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)).reset();
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK(read_statistics(directory).skipped == kFiles);
  CHECK(fold_statistics(directory).folded == kFiles + 1);
  // Far more than it takes, far less than a few milliseconds of waiting for each of them, twice.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(4 * kFiles));
  CHECK(read_statistics(directory).all.at(kLostRecords) == kFiles);
}
