#include "cache/single_flight.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cache/cache_fixture.hpp"
#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"
#include "cache/lock_place.hpp"

using namespace jit;
using namespace jit::test;
using std::chrono::milliseconds;
namespace fs = std::filesystem;

namespace {

FlightLock::Clock::time_point in(milliseconds time) { return FlightLock::Clock::now() + time; }

FlightLock ask(const Directory& directory, std::uint32_t number) {
  return FlightLock::acquire(directory, key_of(number), in(milliseconds(0)));
}

}  // namespace

TEST_CASE("claims of one process on one key exclude each other, those on two keys do not") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  FlightLock first = ask(directory, 1);
  CHECK(first.state() == LockState::kAcquired);
  CHECK_FALSE(first.waited());
  const FlightLock second = ask(directory, 1);
  CHECK(second.state() == LockState::kTimedOut);
  CHECK(second.waited());
  CHECK(ask(directory, 2).state() == LockState::kAcquired);
  // A claim that gave up must not take the lock with it: POSIX locks would.
  CHECK(ask(directory, 1).state() == LockState::kTimedOut);
  first.release();
  first.release();
  CHECK(ask(directory, 1).state() == LockState::kAcquired);
}

TEST_CASE("a claim moves, and ends with its last owner") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const std::size_t descriptors = open_descriptors();
  {
    FlightLock first = ask(directory, 1);
    FlightLock second = std::move(first);
    CHECK(ask(directory, 1).state() == LockState::kTimedOut);
    FlightLock third = ask(directory, 2);
    third = std::move(second);
    CHECK(ask(directory, 2).state() == LockState::kAcquired);
    CHECK(ask(directory, 1).state() == LockState::kTimedOut);
    CHECK(open_descriptors() == descriptors + 1);
  }
  CHECK(ask(directory, 1).state() == LockState::kAcquired);
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("a waiter gives up at its deadline, not before and not much later") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const FlightLock leader = ask(directory, 1);
  const auto begin = FlightLock::Clock::now();
  const auto waiter = FlightLock::acquire(directory, key_of(1), in(milliseconds(120)));
  const auto waited = FlightLock::Clock::now() - begin;
  CHECK(waiter.state() == LockState::kTimedOut);
  CHECK(waited >= milliseconds(120));
  CHECK(waited < milliseconds(1000));
}

TEST_CASE("sixty-four threads make twenty entries twenty times") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  constexpr std::uint32_t kKeys = 20;
  std::atomic<int> made{0};
  std::atomic<int> wrong{0};
  std::vector<std::atomic<int>> leaders(kKeys);
  const auto get = [&](std::uint32_t number) {
    const Entry entry = make_entry(number);
    const auto find = [&] {
      return directory.find(entry.key, toolchain(), ToolchainPolicy::kExact).has_value();
    };
    if (find()) return;
    const auto lock = FlightLock::acquire(directory, entry.key, in(milliseconds(60'000)));
    if (lock.state() != LockState::kAcquired) ++wrong;
    if (++leaders[number] != 1) ++wrong;
    if (!find()) {
      ++made;
      if (!directory.publish(entry).ok) ++wrong;
    }
    --leaders[number];
  };
  std::vector<std::thread> threads;
  for (std::uint32_t thread = 0; thread < 64; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint32_t i = 0; i < kKeys; ++i) get((thread + i) % kKeys);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == kKeys);
  CHECK(wrong == 0);
}

TEST_CASE("a cache on the network has its locks on this node") {
  constexpr std::int64_t kNfs = 0x6969;
  CHECK_FALSE(has_local_locks(kNfs));
  CHECK(has_local_locks(0xef53));
  const Folder folder;
  const Folder run;
  ::setenv("XDG_RUNTIME_DIR", run.path().c_str(), 1);
  const DirectoryOptions options{
      .root = folder / "cache", .trust_group = false, .read_only = false};
  {
    // The first answer is for the cache, the second for the place on this node.
    const FaultInjector injector({.file_system_type = kNfs});
    const TrustedDirectory place = open_lock_place(options);
    CHECK_FALSE(place);
    CHECK(place.error == ENOLCK);
    CHECK(place.why.find("no local file system") != std::string::npos);
    const Directory directory(options);
    CHECK(ask(directory, 1).state() == LockState::kUnavailable);
    // Asked in vain, and made for it; not removed if somebody uses them.
    for (const char* parent : {"/dev/shm", "/tmp"}) {
      ::rmdir(fmt::format("{}/cubinet-{}", parent, ::geteuid()).c_str());
    }
  }
  {
    const FaultInjector injector({.at_call = 1, .error = ENOSYS, .only = "fstatfs"});
    const TrustedDirectory place = open_lock_place(options);
    REQUIRE(place);
    CHECK(place.path == (run / "cubinet").string());
    CHECK(open_lock_file(place, kLockFile));
  }
  CHECK(fs::exists(run / "cubinet/locks"));
  CHECK_FALSE(fs::exists(folder / "cache" / kFormatDirectory / "locks"));
  ::unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("there is no lock to be had in a read-only Directory, nor is anything made") {
  const Folder folder;
  const Directory directory({.root = folder / "cache", .read_only = true});
  const FlightLock lock = ask(directory, 1);
  CHECK(lock.state() == LockState::kUnavailable);
  CHECK(lock.reason() == "lock: the cache is read-only");
  CHECK_FALSE(fs::exists(folder / "cache"));
}

TEST_CASE("what stands in the lock file's place is not locked") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  fs::create_directory(folder / kFormatDirectory);
  fs::permissions(folder / kFormatDirectory, fs::perms(0700));
  SECTION("link") { fs::create_symlink(folder / "elsewhere", folder / kFormatDirectory / "locks"); }
  SECTION("fifo") { REQUIRE(::mkfifo((folder / kFormatDirectory / "locks").c_str(), 0600) == 0); }
  SECTION("directory") { fs::create_directory(folder / kFormatDirectory / "locks"); }
  SECTION("open to others") {
    spill(folder / kFormatDirectory / "locks", {});
    fs::permissions(folder / kFormatDirectory / "locks", fs::perms(0666));
  }
  CHECK(ask(directory, 1).state() == LockState::kUnavailable);
  CHECK_FALSE(fs::exists(folder / "elsewhere"));
}
