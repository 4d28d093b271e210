// Which directories are trusted, and what is said of the others.
#include <grp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "base/file.hpp"
#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/layout.hpp"
#include "cache/location.hpp"
#include "cache/single_flight.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void set_mode(const fs::path& path, unsigned mode) {
  fs::permissions(path, static_cast<fs::perms>(mode));
}

// Publishing and finding three times fails with `part` in the reason and one warning for each.
bool fails_softly(const Directory& directory, Lines& lines, std::string_view part) {
  bool good = true;
  const Entry entry = make_entry(1);
  for (int round = 0; round < 3; ++round) {
    const PublishResult result = directory.publish(entry);
    good = good && !result.ok && contains(result.what, part);
    good = good && !directory.find(entry.key, toolchain(), ToolchainPolicy::kExact);
    const auto lock = FlightLock::acquire(directory, entry.key, FlightLock::Clock::now());
    good = good && lock.state() != LockState::kTimedOut;
  }
  int publish_warnings = 0;
  int other_warnings = 0;
  for (const std::string& line : lines.take()) {
    ++(line.starts_with("publish") ? publish_warnings : other_warnings);
  }
  return good && publish_warnings == 1 && other_warnings <= 1;
}

}  // namespace

TEST_CASE("a directory that others may write to is refused with a remedy") {
  const Folder folder;
  const fs::path root = folder / "cache";
  const Entry entry = make_entry(1);
  REQUIRE(Directory({.root = root}).publish(entry).ok);
  const fs::path shard = path_of(root, entry).parent_path();
  for (const fs::path& open : {root, root / kFormatDirectory, shard}) {
    CAPTURE(open);
    set_mode(open, 0777);
    Lines lines;
    for (const bool trust_group : {false, true}) {
      const Directory directory({.root = root, .trust_group = trust_group}, lines.logger());
      Miss miss;
      CHECK_FALSE(directory.find({.key = entry.key, .toolchain = toolchain()}, &miss));
      CHECK(miss.reason == MissReason::kRefused);
      CHECK(contains(miss.detail, "chmod o-w"));
      CHECK(directory.usable() == (open == shard));
    }
    const Directory directory({.root = root}, lines.logger());
    lines.take();
    CHECK(fails_softly(directory, lines, "everybody may write to"));
    set_mode(open, 0700);
  }
  set_mode(root / kFormatDirectory / "tmp", 0777);
  CHECK_FALSE(Directory({.root = root}, Logger::silent()).publish(entry).ok);
  set_mode(root / kFormatDirectory / "tmp", 0700);
  CHECK(Directory({.root = root}).publish(entry).ok);
}

TEST_CASE("a directory that its group may write to is trusted on request, and then for the group") {
  const Folder folder;
  const fs::path root = folder / "cache";
  fs::create_directory(root);
  set_mode(root, 0770);
  const Entry entry = make_entry(1);
  const Directory strict({.root = root}, Logger::silent());
  CHECK_FALSE(strict.publish(entry).ok);
  CHECK(contains(strict.reason(), "CUBINET_TRUST=group"));
  const Directory trusting({.root = root, .trust_group = true});
  const mode_t before = ::umask(077);
  REQUIRE(trusting.publish(entry).ok);
  const auto lock = FlightLock::acquire(trusting, entry.key, FlightLock::Clock::now());
  ::umask(before);
  CHECK(lock.state() == LockState::kAcquired);
  CHECK(trusting.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  struct stat status {};
  const fs::path path = path_of(root, entry);
  REQUIRE(::stat(path.parent_path().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 02770);
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0660);
  REQUIRE(::stat((root / kFormatDirectory / "locks").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0660);
}

TEST_CASE("two users of a group share a directory that both trust") {
  if (::geteuid() != 0) SKIP("needs root to be two users");
  const Folder folder;
  set_mode(folder.path(), 0755);
  const fs::path root = folder / "cache";
  fs::create_directory(root);
  constexpr gid_t kGroup = 54'000;
  REQUIRE(::chown(root.c_str(), 0, kGroup) == 0);
  set_mode(root, 0770);
  const auto as_member = [&](uid_t uid, const std::function<bool(const Directory&)>& body) {
    return succeeded(start([&] {
      const gid_t groups[] = {kGroup};
      if (::setgroups(1, groups) != 0 || ::setresgid(uid, uid, uid) != 0) return false;
      if (::setresuid(uid, uid, uid) != 0) return false;
      return body(Directory({.root = root, .trust_group = true}, Logger::silent()));
    }));
  };
  const Entry entry = make_entry(1);
  const auto publish = [&](const Directory& cache) { return cache.publish(entry).ok; };
  const auto find = [&](const Directory& cache) {
    return cache.find(entry.key, toolchain(), ToolchainPolicy::kExact).has_value();
  };
  const auto lock = [&](const Directory& cache) {
    const auto claim = FlightLock::acquire(cache, entry.key, FlightLock::Clock::now());
    return claim.state() == LockState::kAcquired;
  };
  CHECK(as_member(54'001, publish));
  CHECK(as_member(54'002, find));
  CHECK(as_member(54'001, lock));
  CHECK(as_member(54'002, lock));
  CHECK(as_member(54'002, publish));
  // Who is not of the group gets nothing, and is told.
  CHECK(as_ordinary_user([&] {
    const Directory cache({.root = root, .trust_group = true}, Logger::silent());
    return !cache.find(entry.key, toolchain(), ToolchainPolicy::kExact) && !cache.usable();
  }));
}

TEST_CASE("another user's directory is refused") {
  if (::geteuid() != 0) SKIP("needs root to make one");
  const Folder folder;
  const fs::path root = folder / "cache";
  fs::create_directory(root);
  REQUIRE(::chown(root.c_str(), 65534, 65534) == 0);
  Lines lines;
  const Directory directory({.root = root}, lines.logger());
  CHECK(contains(directory.reason(), "belongs to uid 65534"));
  CHECK(fails_softly(directory, lines, "belongs to uid 65534"));
}

TEST_CASE("a link to a directory is followed only if it is one's own") {
  const Folder folder;
  const Entry entry = make_entry(1);
  fs::create_directory(folder / "real");
  set_mode(folder / "real", 0700);
  fs::create_symlink("real", folder / "link");
  const Directory directory({.root = folder / "link"}, Logger::silent());
  CHECK(directory.publish(entry).ok);
  CHECK(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  if (::geteuid() != 0) return;
  REQUIRE(::lchown((folder / "link").c_str(), 65534, 65534) == 0);
  CHECK_FALSE(directory.usable());
  CHECK_FALSE(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
}

TEST_CASE("a root that is a file, or lies below one, is a soft failure") {
  const Folder folder;
  spill(folder / "file", {});
  Lines lines;
  CHECK(fails_softly(Directory({.root = folder / "file"}, lines.logger()), lines, "no directory"));
  CHECK(fails_softly(Directory({.root = folder / "file/below"}, lines.logger()), lines,
                     "no directory"));
  CHECK(fails_softly(Directory({.root = ""}, lines.logger()), lines, ""));
}

TEST_CASE("an unwritable and an unreadable directory are soft failures") {
  CHECK(as_ordinary_user([] {
    const Folder folder;
    set_mode(folder.path(), 0500);
    Lines lines;
    bool good =
        fails_softly(Directory({.root = folder / "cache"}, lines.logger()), lines, "EACCES");
    good =
        good && fails_softly(Directory({.root = folder.path()}, lines.logger()), lines, "EACCES");
    set_mode(folder.path(), 0000);
    good = good &&
           fails_softly(Directory({.root = folder / "cache"}, lines.logger()), lines, "EACCES");
    set_mode(folder.path(), 0700);
    const Directory directory({.root = folder.path()}, lines.logger());
    const Entry entry = make_entry(1);
    good = good && directory.publish(entry).ok;
    set_mode(path_of(folder.path(), entry), 0000);
    Miss miss;
    good = good && !directory.find({.key = entry.key, .toolchain = toolchain()}, &miss);
    good = good && miss.reason == MissReason::kUnreadable && directory.publish(entry).ok;
    return good && directory.find(entry.key, toolchain(), ToolchainPolicy::kExact).has_value();
  }));
}

TEST_CASE("a uid without a passwd entry and without a home has a cache") {
  constexpr uid_t kNobodys = 1'543'217;
  CHECK(as_ordinary_user(
      [] {
        ::unsetenv("HOME");
        ::unsetenv("XDG_CACHE_HOME");
        const fs::path root = default_cache_dir();
        const bool fresh = !fs::exists(root);
        const Directory directory({.root = root}, Logger::silent());
        const Entry entry = make_entry(1);
        const bool good = directory.publish(entry).ok &&
                          directory.find(entry.key, toolchain(), ToolchainPolicy::kExact);
        fs::remove(path_of(root, entry));
        if (fresh) fs::remove_all(root);
        return good;
      },
      kNobodys));
}

TEST_CASE("a disk that is full, or read-only, is a soft failure") {
  if (::geteuid() != 0) SKIP("needs root to mount one");
  const Folder folder;
  const fs::path disk = folder / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) SKIP("cannot mount");
  Lines lines;
  const Directory directory({.root = disk}, lines.logger());
  int published = 0;
  PublishResult result;
  for (std::uint32_t number = 0; number < 30; ++number) {
    result = directory.publish(make_entry(number, 8000));
    published += result.ok ? 1 : 0;
  }
  CHECK(published > 2);
  CHECK(published < 10);
  CHECK(result.error == ENOSPC);
  CHECK(contains(result.what, "free some space"));
  CHECK(lines.take().size() == 1);
  CHECK(files_in(disk / kFormatDirectory / "tmp") == 0);
  for (std::uint32_t number = 0; number < 2; ++number) {
    CHECK(directory.find(key_of(number), toolchain(), ToolchainPolicy::kExact));
  }
  if (::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k") == 0) {
    result = directory.publish(make_entry(0));
    CHECK(result.error == EROFS);
    CHECK(contains(result.what, "CUBINET_MODE=readonly"));
    CHECK(lines.take().size() == 1);
    CHECK(directory.find(key_of(0), toolchain(), ToolchainPolicy::kExact));
    const auto lock = FlightLock::acquire(directory, key_of(0), FlightLock::Clock::now());
    CHECK(lock.state() == LockState::kUnavailable);
    // Damage that cannot be moved away is a miss all the same.
    CHECK_FALSE(directory.quarantine(key_of(0), toolchain(), Damage::kRefusedByDriver));
  }
  CHECK(::umount(disk.c_str()) == 0);
}

// Both run in a child: the limits are the whole process's.
bool survives_limit_of_file_size() {
  const Folder folder;
  Lines lines;
  const Directory directory({.root = folder.path()}, lines.logger());
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  bool good = directory.publish(make_entry(1)).ok;
  good = good && directory.publish(make_entry(2, 8000)).error == EFBIG;
  ::setrlimit(RLIMIT_FSIZE, &before);
  good = good && directory.publish(make_entry(2, 8000)).ok;
  return good && files_in(folder / kFormatDirectory / "tmp") == 0 && lines.take().size() == 1;
}

bool survives_limit_of_open_files() {
  const Folder folder;
  const Directory directory({.root = folder.path()}, Logger::silent());
  bool good = directory.publish(make_entry(1)).ok;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  for (rlim_t room = 0; room < 6; ++room) {
    const rlimit few{static_cast<rlim_t>(open_descriptors() - 1) + room, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    Miss miss;
    const bool found =
        directory.find({.key = key_of(1), .toolchain = toolchain()}, &miss).has_value();
    const PublishResult result = directory.publish(make_entry(3));
    ::setrlimit(RLIMIT_NOFILE, &before);
    good = good && (result.ok || result.error == EMFILE);
    good = good && (found || miss.reason >= MissReason::kUnreadable);
  }
  good = good && directory.find(key_of(1), toolchain(), ToolchainPolicy::kExact);
  return good && directory.stats().quarantined == 0;
}

TEST_CASE("a limit of file size is a soft failure, and no signal") {
  CHECK(succeeded(start(survives_limit_of_file_size)));
}

TEST_CASE("a limit of open files is a soft failure") {
  CHECK(succeeded(start(survives_limit_of_open_files)));
}
