// Counts on disk: written by processes that live and die, added up, folded, reset.
#include "cache/statistics.hpp"
#include "cache/layout.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/file.hpp"
#include "cache/cache_fixture.hpp"
#include "cache/fault_injection.hpp"
#include "cache/statistics_file.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kNfs = 0x6969;

Counts counts_of(std::uint64_t hits, std::uint64_t odd = 0) {
  Counts counts;
  counts.add("memory_hits", hits);
  counts.add("a.name_of_tomorrow", odd);
  return counts;
}

fs::path statistics_dir(const Folder& folder) { return folder / kFormatDirectory / "stats"; }

std::vector<fs::path> files_of(const Folder& folder, const std::string& extension = ".stats") {
  std::vector<fs::path> found;
  std::error_code absent;
  for (const auto& file : fs::directory_iterator(statistics_dir(folder), absent)) {
    if (file.path().extension() == extension) found.push_back(file.path());
  }
  return found;
}

// Leaves the file of a process that is dead.
void leave_file(const Directory& directory, const Counts& counts) {
  StatisticsFile file(directory);
  REQUIRE(file.write(counts) == 0);
}

void make_old(const fs::path& path, std::int64_t seconds) {
  const timespec then{::time(nullptr) - seconds, 0};
  const timespec times[] = {then, then};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("a record survives the disk, and nothing else passes for one") {
  StatisticsRecord record;
  record.counts = counts_of(12, 3);
  record.folded = {"0123456789abcdef", "fedcba9876543210"};
  const std::string text = encode(record);
  CHECK(decode_statistics(text) == record);
  for (std::size_t at = 0; at < text.size(); ++at) {
    CAPTURE(at);
    CHECK_FALSE(decode_statistics(text.substr(0, at)));
    for (const unsigned flip : {1U, 0x80U}) {
      std::string torn = text;
      torn[at] = static_cast<char>(static_cast<unsigned char>(torn[at]) ^ flip);
      CHECK_FALSE(decode_statistics(torn));
    }
  }
  CHECK_FALSE(decode_statistics(text + "\n"));
  CHECK_FALSE(decode_statistics(std::string(kMaxRecordBytes + 1, 'x')));
}

TEST_CASE("counts stay at the greatest number, never fall below 0, and keep no zeros") {
  Counts counts = counts_of(~std::uint64_t{0} - 1);
  counts.add("memory_hits", 5);
  CHECK(counts.at("memory_hits") == ~std::uint64_t{0});
  CHECK(counts_of(3).since(counts_of(5)) == Counts());
  CHECK(counts_of(0) == Counts());
}

TEST_CASE("what was not counted is no file, and a read-only directory gets none") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  leave_file(directory, Counts());
  CHECK(files_in(folder.path()) == 0);
  const Directory reader({.root = folder.path(), .read_only = true});
  StatisticsFile file(reader);
  CHECK(file.write(counts_of(1)) == EROFS);
  CHECK(fold_statistics(reader).error == EROFS);
  CHECK(reset_statistics(reader) == EROFS);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("counts of all processes are added up, unknown names too, and the living are told") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  for (std::uint64_t number = 1; number <= 5; ++number) {
    REQUIRE(succeeded(start([&] {
      StatisticsFile file(directory);
      return file.write(counts_of(1, 1)) == 0 && file.write(counts_of(number, 2)) == 0;
    })));
  }
  StatisticsFile living(directory);
  REQUIRE(living.write(counts_of(100)) == 0);
  REQUIRE(living.write(counts_of(1000)) == 0);
  const StatisticsSum sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 1015);
  CHECK(sum.all.at("a.name_of_tomorrow") == 10);
  CHECK(sum.all.at(kProcesses) == 6);
  CHECK(sum.knows_running);
  CHECK(sum.runtimes == 1);
  CHECK(sum.running.at("memory_hits") == 1000);
  CHECK(sum.skipped == 0);
}

TEST_CASE("two files of one process are one process") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  CHECK(succeeded(start([&] {
    StatisticsFile one(directory);
    StatisticsFile other(directory);
    return one.write(counts_of(1)) == 0 && other.write(counts_of(2)) == 0;
  })));
  CHECK(read_statistics(directory).all.at(kProcesses) == 1);
  CHECK(read_statistics(directory).all.at("memory_hits") == 3);
}

TEST_CASE("a process that is killed keeps what it had written") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const pid_t child = start([&] {
    StatisticsFile file(directory);
    if (file.write(counts_of(7)) != 0) return false;
    ::pause();
    return true;
  });
  while (read_statistics(directory).all.at("memory_hits") != 7) ::usleep(1000);
  CHECK(read_statistics(directory).runtimes == 1);
  kill_and_reap(child);
  const StatisticsSum sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 7);
  CHECK(sum.runtimes == 0);
  CHECK(fold_statistics(directory).folded == 1);
  CHECK(read_statistics(directory).all == sum.all);
}

TEST_CASE("a forked child counts from zero, into its own file, and leaves the parent its lock") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  StatisticsFile file(directory);
  REQUIRE(file.write(counts_of(10)) == 0);
  CHECK(succeeded(start([&] {
    file.forget(counts_of(10));
    return file.write(counts_of(13)) == 0;
  })));
  StatisticsSum sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 13);
  CHECK(sum.all.at(kProcesses) == 2);
  CHECK(sum.runtimes == 1);
  REQUIRE(file.write(counts_of(11)) == 0);
  CHECK(read_statistics(directory).all.at("memory_hits") == 14);
}

TEST_CASE("folding moves the dead into the total and leaves the living alone") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  for (std::uint64_t i = 0; i < 5; ++i) leave_file(directory, counts_of(1 + i));
  StatisticsFile living(directory);
  REQUIRE(living.write(counts_of(100)) == 0);
  const StatisticsSum before = read_statistics(directory);
  CHECK(fold_statistics(directory).folded == 5);
  CHECK(files_of(folder).size() == 1);
  CHECK(read_statistics(directory).all == before.all);
  CHECK(fold_statistics(directory).folded == 0);
  REQUIRE(living.write(counts_of(101)) == 0);
  CHECK(read_statistics(directory).all.at("memory_hits") == 116);
  CHECK(files_of(folder, ".new").empty());
}

TEST_CASE("files do not pile up: the next process folds") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  for (std::size_t i = 0; i < 3 * kMaxStatisticsFiles; ++i) leave_file(directory, counts_of(1));
  CHECK(files_of(folder).size() <= kMaxStatisticsFiles + 1);
  CHECK(read_statistics(directory).all.at("memory_hits") == 3 * kMaxStatisticsFiles);
}

TEST_CASE("a torn file is read again, then skipped, named, and folded as lost") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  leave_file(directory, counts_of(5));
  const fs::path torn = files_of(folder).at(0);
  leave_file(directory, counts_of(6));
  const std::string text = read_file(torn).value();
  std::ofstream(torn) << text.substr(0, text.size() - 1);
  StatisticsSum sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 6);
  CHECK(sum.skipped == 1);
  // Torn because its writer is at it: the next look is good.
  std::thread mender([&] {
    ::usleep(1500);
    spill(torn, {as_bytes(text).begin(), as_bytes(text).end()});
  });
  while (read_statistics(directory).all.at("memory_hits") != 11) continue;
  mender.join();
  std::ofstream(torn) << "nonsense";
  CHECK(fold_statistics(directory).folded == 2);
  sum = read_statistics(directory);
  CHECK(sum.skipped == 0);
  CHECK(sum.all.at(kLostRecords) == 1);
  CHECK(sum.all.at("memory_hits") == 6);
}

TEST_CASE("what is no file of statistics is no danger") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  leave_file(directory, counts_of(5));
  const fs::path place = statistics_dir(folder);
  REQUIRE(::mkfifo((place / "00000000000000aa.stats").c_str(), 0600) == 0);
  fs::create_symlink("/etc/passwd", place / "00000000000000bb.stats");
  fs::create_directory(place / "00000000000000cc.stats");
  std::ofstream(place / "nonsense.stats") << "count memory_hits 5\n";
  StatisticsSum sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 5);
  CHECK(sum.skipped == 3);
  spill(place / "total", std::vector<std::byte>(100'000));
  sum = read_statistics(directory);
  CHECK(sum.all.at("memory_hits") == 5);
  CHECK(sum.skipped == 4);
  fold_statistics(directory);
  CHECK(read_statistics(directory).all.at("memory_hits") == 5);
}

TEST_CASE("after a reset, or a removed cache, a living process says what came since") {
  const Folder folder;
  const Directory directory({.root = folder / "cache"});
  const std::size_t descriptors = open_descriptors();
  CHECK(succeeded(start([&] {
    StatisticsFile file(directory);
    if (file.write(counts_of(10)) != 0) return false;
    leave_file(directory, counts_of(5));
    fold_statistics(directory);
    if (reset_statistics(directory) != 0) return false;
    if (!read_statistics(directory).all.all().empty()) return false;
    if (file.write(counts_of(12)) != 0) return false;
    const StatisticsSum sum = read_statistics(directory);
    if (sum.all.at("memory_hits") != 2 || sum.all.at(kProcesses) != 1) return false;
    fs::remove_all(folder / "cache");
    return file.write(counts_of(13)) == 0 && read_statistics(directory).all.at("memory_hits") == 1;
  })));
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("a descriptor that the program has closed and used again is not written to") {
  const Folder folder;
  const Directory directory({.root = folder / "cache"});
  const fs::path mine = folder / "mine";
  CHECK(succeeded(start([&] {
    StatisticsFile file(directory);
    const std::size_t before = open_descriptors();
    if (file.write(counts_of(10)) != 0 || open_descriptors() != before + 1) return false;
    ::close_range(3, ~0U, 0);
    const int last = ::open(mine.c_str(), O_RDWR | O_CREAT, 0600);
    for (int fd = last + 1; fd < 32; ++fd) ::dup2(last, fd);
    return file.write(counts_of(12)) == 0 && ::lseek(last, 0, SEEK_END) == 0 &&
           read_statistics(directory).all.at("memory_hits") == 12 && fs::file_size(mine) == 0;
  })));
}

TEST_CASE("where locks do not reach all nodes, age tells who is dead") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  StatisticsFile idle(directory);
  REQUIRE(idle.write(counts_of(10)) == 0);
  leave_file(directory, counts_of(5));
  const FaultInjector nfs({.file_system_type = kNfs});
  CHECK_FALSE(read_statistics(directory).knows_running);
  CHECK(fold_statistics(directory).folded == 0);
  for (const fs::path& file : files_of(folder)) make_old(file, 8 * 24 * 3600);
  CHECK(fold_statistics(directory).folded == 2);
  CHECK(read_statistics(directory).all.at("memory_hits") == 15);
  // It lives after all, and goes on in another file; nothing is counted twice.
  const std::uint64_t processes = read_statistics(directory).all.at(kProcesses);
  REQUIRE(idle.write(counts_of(11)) == 0);
  CHECK(read_statistics(directory).all.at("memory_hits") == 16);
  CHECK(read_statistics(directory).all.at(kProcesses) == processes);
}

TEST_CASE("a file system without locks is folded by age as well") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const FaultInjector no_locks({.at_call = 1, .error = ENOLCK, .only = "fcntl", .always = true});
  leave_file(directory, counts_of(5));
  CHECK(fold_statistics(directory).folded == 0);
  make_old(files_of(folder).at(0), 8 * 24 * 3600);
  CHECK(fold_statistics(directory).folded == 1);
  CHECK(read_statistics(directory).all.at("memory_hits") == 5);
}

TEST_CASE("an error at any call of a write costs at most that write") {
  const Folder folder;
  const fs::path root = folder / "cache";
  const std::size_t descriptors = open_descriptors();
  bool struck = true;
  int call = 0;
  while (struck && call < 100) {
    ++call;
    for (const int error : errors_of_file_systems()) {
      CAPTURE(call, error_text(error));
      fs::remove_all(root);
      const Directory directory({.root = root});
      {
        StatisticsFile file(directory);
        {
          const FaultInjector injector({.at_call = call, .error = error});
          static_cast<void>(file.write(counts_of(5)));
          struck = !injector.struck().empty();
        }
        CHECK(file.write(counts_of(6)) == 0);
        CHECK(read_statistics(directory).all.at("memory_hits") == 6);
      }
      CHECK(open_descriptors() == descriptors);
      if (!struck) break;
    }
  }
  CHECK(call > 10);
}

TEST_CASE("an error at any call of a fold loses nothing and counts nothing twice") {
  const Folder folder;
  const fs::path root = folder / "cache";
  const std::size_t descriptors = open_descriptors();
  bool struck = true;
  int call = 0;
  while (struck && call < 100) {
    ++call;
    for (const int error : {EIO, ENOENT, ENOSPC, EACCES}) {
      CAPTURE(call, error_text(error));
      fs::remove_all(root);
      const Directory directory({.root = root});
      for (int i = 0; i < 3; ++i) leave_file(directory, counts_of(5));
      REQUIRE(fold_statistics(directory).folded == 3);
      for (int i = 0; i < 3; ++i) leave_file(directory, counts_of(7));
      {
        const FaultInjector injector({.at_call = call, .error = error});
        static_cast<void>(fold_statistics(directory));
        struck = !injector.struck().empty();
        INFO("struck " << injector.struck());
      }
      CHECK(read_statistics(directory).all.at("memory_hits") == 36);
      static_cast<void>(fold_statistics(directory));
      CHECK(read_statistics(directory).all.at("memory_hits") == 36);
      CHECK(open_descriptors() == descriptors);
      if (!struck) break;
    }
  }
  CHECK(call > 20);
}

TEST_CASE("a fold that is killed at any call loses nothing and counts nothing twice") {
  const Folder folder;
  const fs::path root = folder / "cache";
  bool killed = true;
  int call = 0;
  for (; killed && call < 200; ++call) {
    CAPTURE(call);
    fs::remove_all(root);
    const Directory directory({.root = root});
    for (int i = 0; i < 3; ++i) leave_file(directory, counts_of(5));
    killed = !succeeded(start([&] {
      const FaultInjector injector({.at_call = call + 1, .kill = true});
      fold_statistics(directory);
      return true;
    }));
    CHECK(read_statistics(directory).all.at("memory_hits") == 15);
    fold_statistics(directory);
    CHECK(read_statistics(directory).all.at("memory_hits") == 15);
    CHECK(files_in(root / kFormatDirectory / "stats") <= 3);
  }
  CHECK(call > 20);
}
