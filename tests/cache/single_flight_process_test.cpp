// Single flight among processes: leaders that are killed, stopped, or have forked.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "base/file.hpp"
#include "cache/cache_fixture.hpp"
#include "cache/fault_injection.hpp"
#include "cache/layout.hpp"
#include "cache/single_flight.hpp"

using namespace jit;
using namespace jit::test;
using std::chrono::milliseconds;
using Clock = FlightLock::Clock;
namespace fs = std::filesystem;

namespace {

constexpr int kRounds = JIT_TEST_SANITIZED ? 40 : 200;

// One-way words between processes.
class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }
  void send(int word) const { static_cast<void>(::write(write_.get(), &word, sizeof word)); }
  // Returns: -1 if nothing came within ten seconds.
  int receive() const {
    pollfd waits{read_.get(), POLLIN, 0};
    int word = -1;
    if (::poll(&waits, 1, 10'000) != 1) return -1;
    return ::read(read_.get(), &word, sizeof word) == sizeof word ? word : -1;
  }

 private:
  UniqueFd read_;
  UniqueFd write_;
};

[[noreturn]] void sleep_for_ever() {
  while (true) ::pause();
}

// A fork that no fork handler sees, as clone() in somebody's library would be.
pid_t raw_fork() { return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }

enum class Offspring { kNone, kForked, kUnseen };

struct Leader {
  pid_t pid = -1;
  pid_t child = -1;
};

// Starts a process that holds the lock, and perhaps a child of it that outlives it.
Leader start_leader(const Directory& directory, Offspring offspring) {
  const Pipe ready;
  Leader leader;
  leader.pid = start([&] {
    const auto lock = FlightLock::acquire(directory, key_of(1), Clock::now() + milliseconds(5000));
    if (lock.state() != LockState::kAcquired) return false;
    pid_t child = 0;
    if (offspring == Offspring::kForked) child = ::fork();
    if (offspring == Offspring::kUnseen) child = raw_fork();
    if (child == 0 && offspring != Offspring::kNone) sleep_for_ever();
    ready.send(static_cast<int>(child));
    sleep_for_ever();
    return true;
  });
  leader.child = ready.receive();
  return leader;
}

struct Takeover {
  LockState state = LockState::kUnavailable;
  Clock::duration after{};
};

// Kills the leader at a random moment while another process waits for its lock.
Takeover kill_leader(const Directory& directory, Offspring offspring, std::uint32_t after_us) {
  const Leader leader = start_leader(directory, offspring);
  const Pipe done;
  const pid_t waiter = start([&] {
    const auto lock = FlightLock::acquire(directory, key_of(1), Clock::now() + milliseconds(5000));
    done.send(static_cast<int>(lock.state()));
    return true;
  });
  std::this_thread::sleep_for(std::chrono::microseconds(after_us));
  ::kill(leader.pid, SIGKILL);
  const auto killed = Clock::now();
  Takeover takeover;
  const int state = done.receive();
  takeover.after = Clock::now() - killed;
  if (state >= 0) takeover.state = static_cast<LockState>(state);
  static_cast<void>(succeeded(leader.pid));
  if (leader.child > 0) kill_and_reap(leader.child);
  if (!succeeded(waiter)) takeover.state = LockState::kUnavailable;
  return takeover;
}

void check_takeovers(Offspring offspring) {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  const Folder folder;
  const Directory directory({.root = folder.path()});
  std::mt19937 random(7);
  std::vector<Clock::duration> times;
  for (int round = 0; round < kRounds; ++round) {
    const Takeover takeover =
        kill_leader(directory, offspring, static_cast<std::uint32_t>(random() % 6000));
    if (takeover.state != LockState::kAcquired) FAIL("round " << round);
    times.push_back(takeover.after);
  }
  std::sort(times.begin(), times.end());
  CHECK(times[times.size() / 2] < milliseconds(50));
  CHECK(times.back() < milliseconds(2000));
}

}  // namespace

TEST_CASE("a killed leader's lock is taken over at once") { check_takeovers(Offspring::kNone); }

TEST_CASE("a killed leader's lock is taken over at once while its forked child lives") {
  check_takeovers(Offspring::kForked);
}

TEST_CASE("a child that no fork handler saw keeps the lock, and waiters go on at their deadline") {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const Leader leader = start_leader(directory, Offspring::kUnseen);
  REQUIRE(leader.child > 0);
  kill_and_reap(leader.pid);
  const auto waiter = FlightLock::acquire(directory, key_of(1), Clock::now() + milliseconds(100));
  CHECK(waiter.state() == LockState::kTimedOut);
  kill_and_reap(leader.child);
  CHECK(FlightLock::acquire(directory, key_of(1), Clock::now()).state() == LockState::kAcquired);
}

TEST_CASE("a stopped leader holds nobody beyond the deadline") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const Leader leader = start_leader(directory, Offspring::kNone);
  ::kill(leader.pid, SIGSTOP);
  const auto begin = Clock::now();
  const auto waiter = FlightLock::acquire(directory, key_of(1), begin + milliseconds(150));
  CHECK(waiter.state() == LockState::kTimedOut);
  CHECK(Clock::now() - begin < milliseconds(1000));
  kill_and_reap(leader.pid);
}

TEST_CASE("a child's copy of a claim is void, and does not let go of its parent's") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const std::size_t descriptors = open_descriptors();
  auto lock = std::make_unique<FlightLock>(FlightLock::acquire(directory, key_of(1), Clock::now()));
  REQUIRE(lock->state() == LockState::kAcquired);
  const pid_t child = start([&] {
    bool good = open_descriptors() == descriptors;
    // A stranger takes the number of the closed descriptor; the void claim must not close it.
    const UniqueFd stranger(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    lock.reset();
    good = good && ::fcntl(stranger.get(), F_GETFD) >= 0;
    const auto asked = FlightLock::acquire(directory, key_of(1), Clock::now());
    good = good && asked.state() == LockState::kTimedOut;
    auto own = FlightLock::acquire(directory, key_of(2), Clock::now());
    return good && own.state() == LockState::kAcquired;
  });
  CHECK(succeeded(child));
  CHECK(FlightLock::acquire(directory, key_of(1), Clock::now()).state() == LockState::kTimedOut);
  lock.reset();
  CHECK(FlightLock::acquire(directory, key_of(1), Clock::now()).state() == LockState::kAcquired);
}

TEST_CASE("forks while threads take and leave locks neither hang nor keep one") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::uint32_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      while (!stop) {
        const auto lock = FlightLock::acquire(directory, key_of(thread), Clock::now());
      }
    });
  }
  const int forks = JIT_TEST_SANITIZED ? 30 : 200;
  int good = 0;
  for (int round = 0; round < forks; ++round) {
    // The keys' owners may hold them at this very moment; a key of its own is free for sure.
    good += succeeded(start([&] {
      const auto number = static_cast<std::uint32_t>(1000 + round);
      return FlightLock::acquire(directory, key_of(number), Clock::now()).state() ==
             LockState::kAcquired;
    }));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(good == forks);
  for (std::uint32_t number = 0; number < 3; ++number) {
    const auto lock = FlightLock::acquire(directory, key_of(number), Clock::now());
    CHECK(lock.state() == LockState::kAcquired);
  }
}

TEST_CASE("sixty-four processes make twenty entries twenty times") {
  constexpr int kProcesses = JIT_TEST_SANITIZED ? 16 : 64;
  constexpr std::uint32_t kKeys = 20;
  const Folder folder;
  const Directory directory({.root = folder / "cache"});
  const UniqueFd made(::open((folder / "made").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  const auto get = [&](std::uint32_t number) {
    const Entry entry = make_entry(number);
    const auto find = [&] {
      return directory.find(entry.key, toolchain(), ToolchainPolicy::kExact).has_value();
    };
    if (find()) return true;
    const auto lock =
        FlightLock::acquire(directory, entry.key, Clock::now() + milliseconds(30'000));
    if (lock.state() != LockState::kAcquired) return false;
    if (find()) return true;
    return ::write(made.get(), "x", 1) == 1 && directory.publish(entry).ok;
  };
  std::vector<pid_t> children;
  const auto begin = Clock::now() + milliseconds(100);
  for (std::uint32_t process = 0; process < kProcesses; ++process) {
    children.push_back(start([&, process] {
      std::this_thread::sleep_until(begin);
      for (std::uint32_t i = 0; i < kKeys; ++i) {
        if (!get((process % 4 + i) % kKeys)) return false;
      }
      return true;
    }));
  }
  for (const pid_t child : children) CHECK(succeeded(child));
  CHECK(fs::file_size(folder / "made") == kKeys);
}

TEST_CASE("processes of one node exclude each other though the cache is on the network") {
  constexpr std::int64_t kNfs = 0x6969;
  const Folder folder;
  const Folder run;
  ::setenv("XDG_RUNTIME_DIR", run.path().c_str(), 1);
  const Directory directory({.root = folder.path()});
  const auto own = [](const char* parent) {
    return fs::path(parent) / ("cubinet-" + std::to_string(::geteuid()));
  };
  // Each place in turn is as little local as the cache; then the next one is taken.
  Fault network{.file_system_type = kNfs, .below = {folder.path().string()}};
  for (const fs::path& place : {run / "cubinet", own("/dev/shm"), own("/tmp")}) {
    CAPTURE(place);
    const FaultInjector injector(network);
    const auto lead = FlightLock::acquire(directory, key_of(1), Clock::now());
    if (lead.state() != LockState::kAcquired) SKIP("no local file system at " << place);
    CHECK(fs::exists(place / "locks"));
    const auto in_another_process = [&](LockState expected, std::uint32_t key) {
      return succeeded(start([&] {
        const FaultInjector there(network);
        const auto lock = FlightLock::acquire(directory, key_of(key), Clock::now());
        return lock.state() == expected;
      }));
    };
    CHECK(in_another_process(LockState::kTimedOut, 1));
    CHECK(in_another_process(LockState::kAcquired, 2));
    network.below.push_back(place.string());
  }
  CHECK_FALSE(fs::exists(folder / kFormatDirectory / "locks"));
  ::unsetenv("XDG_RUNTIME_DIR");
}
