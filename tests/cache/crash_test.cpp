// Processes killed at random moments of publish, and at every one of its system calls.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <ctime>
#include <new>
#include <random>

#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kKeys = 4;

// In memory that the workers share.
struct Tally {
  std::atomic<int> rounds{0};
  std::atomic<int> hits{0};
  std::atomic<int> absent{0};
  std::atomic<int> wrong{0};
  std::atomic<int> interrupted{0};  // killed with a temporary file open
};

Tally& shared_tally() {
  void* const memory =
      ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return *new (memory) Tally;
}

void pause_us(std::uint32_t microseconds) {
  const timespec time{0, static_cast<long>(microseconds) * 1000};
  ::nanosleep(&time, nullptr);
}

// Removes what the dead process left behind, so that a small disk does not fill; sometimes not, for
// the sweep to have something to do.
int clean_up_after(pid_t dead, const fs::path& temporary, bool really) {
  int left = 0;
  const std::string part = fmt::format(".{}-", dead);
  std::error_code vanished;
  for (const fs::directory_entry& file : fs::directory_iterator(temporary, vanished)) {
    if (file.path().filename().string().find(part) == std::string::npos) continue;
    ++left;
    if (really) fs::remove(file.path(), vanished);
  }
  return left;
}

// One process publishes without end until it is killed; then everything is read back.
void crash_once(const Directory& directory, const std::vector<Entry>& entries,
                std::uint32_t after_us, Tally& tally) {
  const pid_t child = start([&] {
    for (std::size_t round = after_us;; ++round) {
      static_cast<void>(directory.publish(entries[round % entries.size()]));
    }
    return true;
  });
  pause_us(after_us);
  kill_and_reap(child);
  tally.interrupted +=
      clean_up_after(child, directory.root() / kFormatDirectory / "tmp", after_us % 64 != 0);
  for (const Entry& entry : entries) {
    Miss miss;
    const auto found = directory.find({.key = entry.key, .toolchain = toolchain()}, &miss);
    if (found) {
      ++(same(*found, entry) ? tally.hits : tally.wrong);
    } else {
      ++(miss.reason == MissReason::kAbsent ? tally.absent : tally.wrong);
    }
  }
}

// Has `rounds` processes killed, by some workers at once, each with keys of its own.
Tally& crash_many(const fs::path& root, int rounds, std::uint32_t longest_us) {
  constexpr int kWorkers = 4;
  Tally& tally = shared_tally();
  std::vector<pid_t> workers;
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
    workers.push_back(start([&, worker] {
      const Directory directory({.root = root}, Logger::silent());
      std::vector<Entry> entries;
      for (std::uint32_t number = 0; number < kKeys; ++number) {
        entries.push_back(make_entry(worker * kKeys + number, number % 2 == 0 ? 20'000 : 90'000));
      }
      std::mt19937 random(worker);
      for (; tally.rounds++ < rounds;) {
        crash_once(directory, entries, static_cast<std::uint32_t>(random() % longest_us), tally);
      }
      return directory.stats().damaged == 0 && directory.stats().quarantined == 0;
    }));
  }
  for (const pid_t worker : workers) CHECK(succeeded(worker));
  return tally;
}

// What the dead left behind goes by itself once it is old.
void check_swept(const fs::path& root) {
  const fs::path temporary = root / kFormatDirectory / "tmp";
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(2);
  for (const fs::directory_entry& file : fs::directory_iterator(temporary)) {
    fs::last_write_time(file, old);
  }
  const Directory directory({.root = root});
  CHECK(directory.publish(make_entry(0)).ok);
  while (directory.sweep() > 0) {
  }
  CHECK(files_in(temporary) == 0);
}

}  // namespace

TEST_CASE("ten thousand processes killed while they publish leave no damage") {
  const Folder folder;
  constexpr int kRounds = JIT_TEST_SANITIZED ? 400 : 10'000;
  const Tally& tally = crash_many(folder.path(), kRounds, 1200);
  CHECK(tally.wrong == 0);
  CHECK(tally.hits > tally.absent);
  // If no kill had struck in the middle, the test would show nothing.
  CHECK(tally.interrupted > kRounds / 100);
  WARN("killed in the middle: " << tally.interrupted << " of " << kRounds);
  check_swept(folder.path());
}

TEST_CASE("processes killed while they publish to a real disk leave no damage") {
  const Folder folder(Folder::On::kDisk);
  const Tally& tally = crash_many(folder.path(), JIT_TEST_SANITIZED ? 50 : 200, 20'000);
  CHECK(tally.wrong == 0);
  check_swept(folder.path());
}

TEST_CASE("a process killed at any call of publish leaves no damage") {
  const Folder folder;
  const fs::path root = folder / "cache";
  const Entry entry = make_entry(1);
  bool killed = true;
  int call = 0;
  while (killed && call < 500) {
    ++call;
    CAPTURE(call);
    fs::remove_all(root);
    const Directory directory({.root = root}, Logger::silent());
    const pid_t child = start([&] {
      const FaultInjector injector({.at_call = call, .kill = true});
      return directory.publish(entry).ok;
    });
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    killed = WIFSIGNALED(status);
    Miss miss;
    const auto found = directory.find({.key = entry.key, .toolchain = toolchain()}, &miss);
    CHECK((found || miss.reason == MissReason::kAbsent));
    CHECK(directory.publish(entry).ok);
    CHECK(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  }
  CHECK(call > 20);
}
