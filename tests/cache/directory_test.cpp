#include "cache/directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <ctime>
#include <thread>

#include "cache/cache_fixture.hpp"
#include "cache/layout.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

void age(const fs::path& path, std::chrono::hours by) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - by);
}

}  // namespace

TEST_CASE("what was published is found, by this Directory and another") {
  const Folder folder;
  const Directory directory({.root = folder / "cache"});
  const Entry entry = make_entry(1);
  Miss miss;
  CHECK_FALSE(directory.find({.key = entry.key, .toolchain = toolchain()}, &miss));
  CHECK(miss.reason == MissReason::kAbsent);
  const PublishResult published = directory.publish(entry);
  CHECK(published.ok);
  CHECK(published.what.empty());
  const Directory second({.root = folder / "cache"});
  for (const Directory* other : {&directory, &second}) {
    const auto found = other->find(entry.key, toolchain(), ToolchainPolicy::kExact);
    REQUIRE(found);
    CHECK(same(*found, entry));
  }
  CHECK(directory.stats().hits == 1);
  CHECK(directory.stats().misses == 1);
  CHECK(directory.stats().published == 1);
}

TEST_CASE("reading makes nothing, publishing makes private directories and files") {
  const Folder folder;
  const fs::path root = folder / "a/b/cache";
  const Directory directory({.root = root});
  const Entry entry = make_entry(2);
  CHECK_FALSE(directory.find(entry.key, toolchain(), ToolchainPolicy::kAny));
  CHECK(directory.usable());
  CHECK_FALSE(fs::exists(folder / "a"));
  const mode_t before = ::umask(0);
  CHECK(directory.publish(entry).ok);
  ::umask(before);
  const fs::path path = path_of(root, entry);
  for (const fs::path& made : {fs::path(folder / "a"), root, root / kFormatDirectory,
                               root / kFormatDirectory / "tmp", path.parent_path()}) {
    CHECK(mode_of(made) == 0700);
  }
  CHECK(mode_of(path) == 0600);
  CHECK(files_in(root / kFormatDirectory / "tmp") == 0);
}

TEST_CASE("a read-only Directory reads and writes nothing") {
  const Folder folder;
  const Entry entry = make_entry(3);
  Lines lines;
  const Directory reader({.root = folder / "cache", .read_only = true}, lines.logger());
  CHECK_FALSE(reader.publish(entry).ok);
  CHECK_FALSE(fs::exists(folder / "cache"));
  REQUIRE(Directory({.root = folder / "cache"}).publish(entry).ok);
  CHECK(reader.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  CHECK(lines.take().empty());
}

TEST_CASE("the policy says whose output may answer") {
  const Folder folder;
  const Directory directory({.root = folder.path()}, Logger::silent());
  const Entry old = make_entry(4, 300, toolchain(12, 9, 1));
  const Entry here = make_entry(4, 301, toolchain(13, 0, 2));
  const Entry twin = make_entry(4, 302, toolchain(13, 0, 3));
  const Entry next = make_entry(4, 303, toolchain(13, 1, 1));
  for (const Entry* entry : {&old, &here, &twin, &next}) REQUIRE(directory.publish(*entry).ok);
  const auto cubin_bytes = [&](const ToolchainId& asks, ToolchainPolicy policy,
                               std::optional<CompilerRelease> driver = {}) -> std::size_t {
    const auto found =
        directory.find({.key = old.key, .toolchain = asks, .policy = policy, .driver = driver});
    return found ? found->artifact.cubin.size() : 0;
  };
  using enum ToolchainPolicy;
  constexpr CompilerRelease k124{12, 4};
  CHECK(cubin_bytes(toolchain(13, 0, 2), kExact) == 301);
  CHECK(cubin_bytes(toolchain(13, 0, 9), kExact) == 0);
  CHECK(cubin_bytes(toolchain(13, 0, 2), kRelease) == 301);
  CHECK(cubin_bytes(toolchain(13, 0, 9), kRelease) == 302);
  CHECK(cubin_bytes(toolchain(12, 8, 9), kRelease) == 0);
  CHECK(cubin_bytes(toolchain(12, 9, 9), kAny) == 300);
  CHECK(cubin_bytes(toolchain(12, 8, 9), kAny) == 303);
  CHECK(cubin_bytes(ToolchainId{}, kExact) == 303);
  CHECK(cubin_bytes(ToolchainId{}, kExact, k124) == 300);
  CHECK(cubin_bytes(ToolchainId{}, kAny, CompilerRelease{11, 8}) == 0);
  CHECK(cubin_bytes(toolchain(13, 0, 2), kExact, k124) == 0);
  // Within a major an older driver loads what a newer compiler made.
  CHECK(cubin_bytes(ToolchainId{}, kAny, CompilerRelease{13, 0}) == 303);
  CHECK(cubin_bytes(toolchain(13, 0, 9), kRelease, CompilerRelease{13, 0}) == 302);
}

TEST_CASE("an entry newer than the driver is passed over by name") {
  const Folder folder;
  const Directory directory({.root = folder.path()}, Logger::silent());
  const Entry entry = make_entry(4, 300, toolchain(13, 1, 1));
  REQUIRE(directory.publish(entry).ok);
  using enum ToolchainPolicy;
  const auto reason = [&](const ToolchainId& asks, ToolchainPolicy policy, std::string* detail) {
    Miss miss;
    CHECK_FALSE(directory.find(
        {.key = entry.key, .toolchain = asks, .policy = policy, .driver = CompilerRelease{12, 4}},
        &miss));
    if (detail != nullptr) *detail = miss.detail;
    return name_of(miss.reason);
  };
  std::string detail;
  CHECK(reason(ToolchainId{}, kExact, &detail) == "newer_than_driver");
  CHECK(detail == "made by nvrtc 13.1, newer than the driver, which takes CUDA 12.4");
  CHECK(reason(toolchain(12, 9, 1), kAny, nullptr) == "newer_than_driver");
  CHECK(reason(toolchain(13, 1, 9), kRelease, nullptr) == "newer_than_driver");
  CHECK(reason(toolchain(13, 1, 1), kExact, nullptr) == "newer_than_driver");
  // It would not answer for any driver: that is what the reader needs to know.
  CHECK(reason(toolchain(12, 9, 1), kRelease, nullptr) == "other_toolchain");
  CHECK(directory.stats().quarantined == 0);
}

TEST_CASE("builds that share a file name do not answer for each other") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const Entry entry = make_entry(5);
  ToolchainId other = toolchain();
  other.build.back() ^= 1;
  REQUIRE(directory.publish(entry).ok);
  Miss miss;
  CHECK_FALSE(directory.find({.key = entry.key, .toolchain = other}, &miss));
  CHECK(miss.reason == MissReason::kOtherToolchain);
  CHECK(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  CHECK(directory.stats().quarantined == 0);
}

TEST_CASE("a cache that is removed under our hands is a miss, and made anew") {
  const Folder folder;
  const Directory directory({.root = folder / "cache"});
  const Entry entry = make_entry(6);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(directory.publish(entry).ok);
    CHECK(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
    fs::remove_all(folder / "cache");
    CHECK_FALSE(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  }
}

TEST_CASE("the quarantine keeps the latest sixteen") {
  const Folder folder;
  const Directory directory({.root = folder.path()}, Logger::silent());
  for (std::uint32_t number = 0; number < 40; ++number) {
    const Entry entry = make_entry(number);
    REQUIRE(directory.publish(entry).ok);
    CHECK(directory.quarantine(entry.key, toolchain(), Damage::kRefusedByDriver));
    CHECK_FALSE(directory.quarantine(entry.key, toolchain(), Damage::kRefusedByDriver));
    CHECK_FALSE(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  }
  CHECK(files_in(folder / kFormatDirectory / "quarantine") == 16);
  CHECK(directory.stats().quarantined == 40);
}

TEST_CASE("temporary files of the dead are swept, those of the living stay") {
  const Folder folder;
  const Entry entry = make_entry(7);
  REQUIRE(Directory({.root = folder.path()}).publish(entry).ok);
  spill(folder / kFormatDirectory / "tmp/old", {});
  spill(folder / kFormatDirectory / "tmp/future", {});
  spill(folder / kFormatDirectory / "tmp/new", {});
  age(folder / kFormatDirectory / "tmp/old", std::chrono::hours(2));
  age(folder / kFormatDirectory / "tmp/future", std::chrono::hours(-1000));
  const Directory directory({.root = folder.path()});
  REQUIRE(directory.publish(entry).ok);
  CHECK(directory.stats().swept == 2);
  CHECK(files_in(folder / kFormatDirectory / "tmp") == 1);
  CHECK(fs::exists(folder / kFormatDirectory / "tmp/new"));
  CHECK(directory.sweep() == 0);
}

TEST_CASE("many threads publish and find the same keys") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  std::vector<Entry> entries;
  for (std::uint32_t number = 0; number < 4; ++number) entries.push_back(make_entry(number, 5000));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::size_t round = 0; round < 100; ++round) {
        const Entry& entry = entries[(thread + round) % entries.size()];
        if (round % 3 == 0 && !directory.publish(entry).ok) ++wrong;
        const auto found = directory.find(entry.key, toolchain(), ToolchainPolicy::kExact);
        if (found && !same(*found, entry)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(directory.stats().damaged == 0);
  CHECK(files_in(folder / kFormatDirectory / "tmp") == 0);
}

TEST_CASE("a hit costs little more than its system calls", "[.benchmark]") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const Entry entry = make_entry(8, 20'000);
  REQUIRE(directory.publish(entry).ok);
  constexpr int kRounds = 20'000;
  const std::clock_t cpu_begin = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) {
    static_cast<void>(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  }
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
  const double cpu_us = 1e6 * static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  WARN("find of a 20 KB entry: " << spent.count() / kRounds << " us, of the processor's time "
                                 << cpu_us / kRounds << " us");
  CHECK(directory.stats().hits == kRounds);
}
