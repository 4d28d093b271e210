// The last use of entries: when find() moves it on, and when it must leave the file alone.
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/eviction.hpp"
#include "cache/fault_injection.hpp"
#include "cache/mount_namespace.hpp"

using namespace jit;
using namespace jit::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kOverlay = 0x794c7630;

// Seconds since the entry's last use.
std::int64_t age_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return ::time(nullptr) - status.st_mtim.tv_sec;
}

bool set_age(const fs::path& path, std::int64_t seconds) {
  const timespec time{::time(nullptr) - seconds, 0};
  const timespec times[2] = {time, time};
  return ::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0;
}

bool find(const Directory& directory, const Entry& entry) {
  return directory.find(entry.key, entry.artifact.toolchain, ToolchainPolicy::kExact).has_value();
}

// As if no name had come to its shard or gone from it for that long.
bool set_age_of_shard(const fs::path& entry, std::int64_t seconds) {
  return set_age(entry.parent_path(), seconds);
}

struct OneEntry {
  Folder folder;
  Entry entry = make_entry(1);
  fs::path path = path_of(folder.path(), entry);
  explicit OneEntry(std::int64_t age_s) {
    REQUIRE(Directory({.root = folder.path()}).publish(entry).ok);
    REQUIRE(set_age(path, age_s));
  }
};

}  // namespace

TEST_CASE("an entry is touched when it is found, at most once an hour") {
  const OneEntry one(3 * 3600);
  const Directory directory({.root = one.folder.path()});
  CHECK(find(directory, one.entry));
  CHECK(age_of(one.path) < 60);
  for (int i = 0; i < 10; ++i) CHECK(find(directory, one.entry));
  CHECK(directory.stats().touched == 1);
  REQUIRE((set_age(one.path, 1800) && set_age_of_shard(one.path, 1800)));
  CHECK(find(directory, one.entry));
  CHECK(age_of(one.path) >= 1800);
  const Directory eager({.root = one.folder.path(), .touch_after = 600s});
  CHECK(find(eager, one.entry));
  CHECK(age_of(one.path) < 60);
}

TEST_CASE("where entries come and go an entry is touched at most once a minute") {
  const auto publish = [](const Directory& cache) {
    return cache.publish(make_entry(1, 300, toolchain(12, 9, 7))).ok;  // to the same shard
  };
  const auto evict = [](const Directory& cache) {
    return cache.evict({.unused_for = 24h}).removed_entries == 1;
  };
  for (const bool published : {true, false}) {
    const OneEntry one(0);
    const Directory directory({.root = one.folder.path()});
    REQUIRE((published || publish(directory)));
    const Entry other = make_entry(1, 300, toolchain(12, 9, 7));
    REQUIRE((published || set_age(path_of(one.folder.path(), other), 2 * 86'400)));
    REQUIRE((set_age(one.path, 900) && set_age_of_shard(one.path, 1000)));
    CHECK(find(directory, one.entry));
    CHECK(age_of(one.path) >= 900);
    REQUIRE((published ? publish(directory) : evict(directory)));
    CHECK(find(directory, one.entry));
    CHECK(age_of(one.path) < 50);
    REQUIRE(set_age(one.path, 50));
    CHECK(find(directory, one.entry));
    CHECK(age_of(one.path) >= 50);
    REQUIRE(set_age(one.path, 900));
    CHECK(find(Directory({.root = one.folder.path(), .read_only = true}), one.entry));
    const FaultInjector overlay({.only = "futimens", .file_system_type = kOverlay});
    CHECK(find(directory, one.entry));
    CHECK(overlay.calls() == 0);
    CHECK(directory.stats().touched == 1);
  }
}

TEST_CASE("a last use in the future is put right") {
  const OneEntry one(-365 * 86'400);
  CHECK(find(Directory({.root = one.folder.path()}), one.entry));
  CHECK(std::abs(age_of(one.path)) < 60);
}

TEST_CASE("what is not served is not touched") {
  const OneEntry one(86'400);
  const Directory directory({.root = one.folder.path()}, Logger::silent());
  CHECK_FALSE(directory.find(one.entry.key, toolchain(13, 0, 8), ToolchainPolicy::kExact));
  CHECK_FALSE(directory.find(one.entry.key, toolchain(12, 9, 7), ToolchainPolicy::kRelease));
  CHECK(age_of(one.path) >= 86'400);
  CHECK(directory.find(one.entry.key, toolchain(12, 9, 7), ToolchainPolicy::kAny));
  CHECK(age_of(one.path) < 60);
}

TEST_CASE("a read-only cache and an overlay are never touched") {
  const OneEntry one(86'400);
  const Directory reader({.root = one.folder.path(), .read_only = true});
  CHECK(find(reader, one.entry));
  CHECK(age_of(one.path) >= 86'400);
  const Directory writer({.root = one.folder.path()});
  {
    const FaultInjector overlay({.only = "futimens", .file_system_type = kOverlay});
    CHECK(find(writer, one.entry));
    CHECK(overlay.calls() == 0);
  }
  CHECK(age_of(one.path) >= 86'400);
  const FaultInjector counter({.only = "futimens"});
  CHECK(find(writer, one.entry));
  CHECK(counter.calls() == 1);
}

TEST_CASE("a touch that fails is nobody's news") {
  const OneEntry one(86'400);
  for (const int error : errors_of_file_systems()) {
    Lines lines;
    const Directory directory({.root = one.folder.path()}, lines.logger());
    const FaultInjector injector(
        {.at_call = 1, .error = error, .only = "futimens", .always = true});
    CHECK(find(directory, one.entry));
    CHECK(injector.struck() == "futimens");
    CHECK(directory.stats().touched == 0);
    CHECK(lines.take().empty());
  }
}

TEST_CASE("in a shared directory an entry is touched by those who did not make it") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  const Folder folder;
  const fs::path root = folder / "cache";
  constexpr gid_t kGroup = 54'000;
  fs::create_directory(root);
  fs::permissions(folder.path(), fs::perms(0755));
  REQUIRE(::chown(root.c_str(), 0, kGroup) == 0);
  REQUIRE(::chmod(root.c_str(), 02770) == 0);
  const Entry entry = make_entry(1);
  const auto as_member = [&](uid_t uid, const std::function<bool(const Directory&)>& body) {
    return succeeded(start([&] {
      const gid_t groups[] = {kGroup};
      if (::setgroups(1, groups) != 0 || ::setresgid(uid, uid, uid) != 0) return false;
      if (::setresuid(uid, uid, uid) != 0) return false;
      return body(Directory({.root = root, .trust_group = true}, Logger::silent()));
    }));
  };
  CHECK(as_member(54'001, [&](const Directory& cache) { return cache.publish(entry).ok; }));
  REQUIRE(set_age(path_of(root, entry), 86'400));
  CHECK(as_member(54'002, [&](const Directory& cache) {
    return find(cache, entry) && cache.stats().touched == 1;
  }));
  CHECK(age_of(path_of(root, entry)) < 60);
}

TEST_CASE("reads copy nothing up from the lower layer of a real overlay") {
  const Folder folder;
  constexpr std::uint32_t kEntries = 50;
  const auto body = [&] {
    if (!mount_small_disk(folder.path(), "64m")) not_allowed();
    for (const char* name : {"lower", "upper", "work", "merged"}) {
      fs::create_directory(folder / name);
      fs::permissions(folder / name, fs::perms(0700));
    }
    const Directory image({.root = folder / "lower" / "cache"});
    bool good = true;
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      const Entry entry = make_entry(i, 5000);
      good = good && image.publish(entry).ok && set_age(path_of(image.root(), entry), 86'400);
    }
    good = expect(good, "the image has entries");
    if (!mount_overlay(folder / "lower", folder / "upper", folder / "work", folder / "merged")) {
      not_allowed();
    }
    const Directory cache({.root = folder / "merged" / "cache"});
    for (std::uint32_t i = 0; i < 20 * kEntries; ++i) {
      good = good && find(cache, make_entry(i % kEntries, 5000));
    }
    good = expect(good, "every entry is found through the overlay") && good;
    good = expect(fs::is_empty(folder / "upper"), "nothing is copied up by reads") && good;
    // The control: a touch would have been seen.
    const Entry touched = make_entry(7, 5000);
    good = expect(set_age(path_of(cache.root(), touched), 0), "a touch is possible") && good;
    const fs::path copy = path_of(folder / "upper" / "cache", touched);
    return expect(fs::exists(copy) && fs::file_size(copy) > 5000, "a touch copies the file up") &&
           good;
  };
  const Namespaced outcome = in_mount_namespace(body);
  if (outcome == Namespaced::kNotAllowed) SKIP("this machine does not allow an overlay mount");
  CHECK(outcome == Namespaced::kHeld);
}
