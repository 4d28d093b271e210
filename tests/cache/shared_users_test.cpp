// Two users of one group and one directory: each has what the other makes, and may remove it.
#include <grp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/eviction.hpp"
#include "cache/inspection.hpp"
#include "cache/layout.hpp"
#include "cache/single_flight.hpp"
#include "cache/statistics.hpp"
#include "cache/statistics_file.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

constexpr gid_t kGroup = 54'000;
constexpr uid_t kAnna = 54'001;
constexpr uid_t kBert = 54'002;
constexpr uid_t kStranger = 54'003;

using Body = std::function<bool(const Directory&)>;

// A directory of root's that the group may write to, and processes of its users.
class SharedRoot {
 public:
  SharedRoot() : path_(folder_ / "cache") {
    fs::permissions(folder_.path(), fs::perms(0755));
    fs::create_directory(path_);
    REQUIRE(::chown(path_.c_str(), 0, kGroup) == 0);
    REQUIRE(::chmod(path_.c_str(), 02770) == 0);
  }
  const fs::path& path() const { return path_; }

  pid_t start_as(uid_t uid, const Body& body, bool trust = true) const {
    return start([&] {
      const gid_t groups[] = {uid == kStranger ? gid_t{kStranger} : kGroup};
      if (::setgroups(1, groups) != 0 || ::setresgid(uid, uid, uid) != 0) return false;
      if (::setresuid(uid, uid, uid) != 0) return false;
      ::umask(mask_);
      return body(Directory({.root = path_, .trust_group = trust}, Logger::silent()));
    });
  }
  bool as(uid_t uid, const Body& body) const { return succeeded(start_as(uid, body)); }
  bool as_untrusting(uid_t uid, const Body& body) const {
    return succeeded(start_as(uid, body, false));
  }
  void set_umask(mode_t mask) { mask_ = mask; }

 private:
  Folder folder_;
  fs::path path_;
  mode_t mask_ = 022;
};

Body publishes(const Entry& entry) {
  return [&entry](const Directory& cache) { return cache.publish(entry).ok; };
}

Body finds(const Entry& entry) {
  return [&entry](const Directory& cache) {
    const auto found = cache.find(entry.key, toolchain(), ToolchainPolicy::kExact);
    return found && same(*found, entry);
  };
}

uid_t owner_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_uid;
}

bool holds_until_killed(const Directory& cache, int ready) {
  const auto lock = FlightLock::acquire(cache, key_of(1), FlightLock::Clock::now());
  const char word = lock.state() == LockState::kAcquired ? 'y' : 'n';
  if (::write(ready, &word, 1) != 1) return false;
  while (true) ::pause();
}

Body asks(LockState expected) {
  return [expected](const Directory& cache) {
    const auto lock = FlightLock::acquire(cache, key_of(1), FlightLock::Clock::now());
    return lock.state() == expected;
  };
}

Body counts(std::uint64_t hits) {
  return [hits](const Directory& cache) {
    Counts mine;
    mine.add("memory_hits", hits);
    StatisticsFile file(cache);
    return file.write(mine) == 0;
  };
}

Body reads_hits(std::uint64_t hits) {
  return [hits](const Directory& cache) {
    const StatisticsSum sum = read_statistics(cache);
    return sum.all.at("memory_hits") == hits && sum.skipped == 0;
  };
}

}  // namespace

TEST_CASE("users of a group find, replace, quarantine and remove each other's entries") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  for (const mode_t mask : {mode_t{077}, mode_t{022}}) {
    CAPTURE(mask);
    SharedRoot root;
    root.set_umask(mask);
    const Entry first = make_entry(1);
    const Entry second = make_entry(2);
    CHECK(root.as(kAnna, publishes(first)));
    CHECK(root.as(kBert, publishes(second)));
    CHECK(owner_of(path_of(root.path(), first)) == kAnna);
    CHECK(owner_of(path_of(root.path(), second)) == kBert);
    CHECK(root.as(kBert, finds(first)));
    CHECK(root.as(kAnna, finds(second)));
    CHECK(root.as(kBert, publishes(first)));
    CHECK(owner_of(path_of(root.path(), first)) == kBert);
    CHECK(root.as(kAnna, finds(first)));
    // Anna finds Bert's entry damaged, and moves it aside; then the other way round.
    for (const auto& [reader, entry] : {std::pair{kAnna, second}, std::pair{kBert, first}}) {
      CHECK(root.as(reader == kAnna ? kBert : kAnna, publishes(entry)));
      fs::resize_file(path_of(root.path(), entry), 50);
      CHECK(root.as(reader, [&entry](const Directory& cache) {
        Miss miss;
        return !cache.find({.key = entry.key, .toolchain = toolchain()}, &miss) &&
               miss.reason == MissReason::kDamaged && cache.stats().quarantined == 1;
      }));
      CHECK_FALSE(fs::exists(path_of(root.path(), entry)));
      CHECK(root.as(reader, publishes(entry)));
    }
    CHECK(files_in(root.path() / kFormatDirectory / "quarantine") == 2);
    // Now Anna made the second and Bert the first.
    CHECK(root.as(kBert, [&](const Directory& cache) {
      return cache.quarantine(second.key, toolchain(), Damage::kRefusedByDriver);
    }));
    CHECK(root.as(kAnna, [](const Directory& cache) {
      const RemoveResult result = remove_entries(cache, {});
      return result.removed == 1 && result.failed == 0;
    }));
    CHECK(root.as(kBert, [](const Directory& cache) { return size_of(cache).entries == 0; }));
  }
}

TEST_CASE("users of a group have one single flight") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  for (const mode_t mask : {mode_t{077}, mode_t{022}}) {
    CAPTURE(mask);
    SharedRoot root;
    root.set_umask(mask);
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t leader = root.start_as(
        kAnna, [&](const Directory& cache) { return holds_until_killed(cache, ready[1]); });
    char word = 0;
    pollfd waits{ready[0], POLLIN, 0};
    if (::poll(&waits, 1, 10'000) == 1) CHECK(::read(ready[0], &word, 1) == 1);
    CHECK(word == 'y');
    CHECK(root.as(kBert, asks(LockState::kTimedOut)));
    CHECK(owner_of(root.path() / kFormatDirectory / "locks") == kAnna);
    kill_and_reap(leader);
    CHECK(root.as(kBert, asks(LockState::kAcquired)));
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

TEST_CASE("statistics and eviction are for all users of a group") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  for (const mode_t mask : {mode_t{077}, mode_t{022}}) {
    CAPTURE(mask);
    SharedRoot root;
    root.set_umask(mask);
    CHECK(root.as(kAnna, counts(3)));
    CHECK(root.as(kBert, counts(4)));
    CHECK(root.as(kAnna, reads_hits(7)));
    const auto folds = [](std::size_t files) {
      return [files](const Directory& cache) { return fold_statistics(cache).folded == files; };
    };
    CHECK(root.as(kAnna, folds(2)));
    CHECK(root.as(kAnna, counts(10)));
    CHECK(root.as(kBert, folds(1)));
    CHECK(root.as(kAnna, reads_hits(17)));
    const Entry first = make_entry(1);
    const Entry second = make_entry(2);
    CHECK(root.as(kAnna, publishes(first)));
    CHECK(root.as(kBert, publishes(second)));
    CHECK(root.as(kBert, [](const Directory& cache) {
      const EvictionResult result = cache.evict({.max_bytes = 0});
      return result.done && result.failed == 0 && result.removed_entries == 2;
    }));
    CHECK(root.as(kAnna, [](const Directory& cache) { return reset_statistics(cache) == 0; }));
    CHECK(root.as(kBert, reads_hits(0)));
  }
}

TEST_CASE("a shared directory is refused by name without trust, and to those of no such group") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  const SharedRoot root;
  const Entry entry = make_entry(1);
  CHECK(root.as(kAnna, publishes(entry)));
  const auto refused_with = [&](const char* words) -> Body {
    return [&entry, words](const Directory& cache) {
      Miss miss;
      const bool found =
          cache.find({.key = entry.key, .toolchain = toolchain()}, &miss).has_value();
      const PublishResult published = cache.publish(entry);
      return !found && miss.reason == MissReason::kRefused && !published.ok &&
             miss.detail.find(words) != std::string::npos &&
             published.what.find(words) != std::string::npos &&
             cache.reason().find(words) != std::string::npos;
    };
  };
  CHECK(
      root.as_untrusting(kBert, refused_with("set CUBINET_TRUST=group if that group is trusted")));
  CHECK(root.as(kStranger, refused_with("is none of this process's; join it")));
  REQUIRE(::chmod(root.path().c_str(), 02777) == 0);
  for (const uid_t uid : {kAnna, kBert, kStranger}) {
    CHECK(root.as(uid, refused_with("everybody may write to")));
  }
  CHECK(root.as_untrusting(kBert, refused_with("everybody may write to")));
}
