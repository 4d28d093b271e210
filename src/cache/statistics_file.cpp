#include "cache/statistics_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <functional>
#include <utility>

#include "cache/statistics.hpp"
#include "cache/statistics_store.hpp"

namespace jit::inline v1 {
namespace {

// Roots for which this process has been counted, by hash. No lock, for the sake of forks.
std::array<std::atomic<std::uint64_t>, 16> counted_roots{};

bool is_first_of_process(const Directory& directory) noexcept {
  const std::uint64_t hash = std::hash<std::string_view>{}(directory.root().native()) | 1U;
  for (std::atomic<std::uint64_t>& place : counted_roots) {
    std::uint64_t known = 0;
    if (place.compare_exchange_strong(known, hash)) return true;
    if (known == hash) return false;
  }
  return true;
}

}  // namespace

int StatisticsFile::write(const Counts& counts) noexcept {
  try {
    if (directory_.options().read_only) return EROFS;
    return try_write(counts);
  } catch (const std::exception&) {
    return ENOMEM;
  }
}

int StatisticsFile::try_write(const Counts& counts) {
  if (counts == written_) return 0;
  if (fd_ && !still_ours()) {
    close();
    before_ = written_;
  }
  StatisticsRecord record;
  record.counts = counts.since(before_);
  const int error = fd_ ? rewrite(std::move(record)) : make(std::move(record));
  if (error == 0) written_ = counts;
  return error;
}

int StatisticsFile::rewrite(StatisticsRecord record) {
  record.counts.add(kProcesses, processes_.value_or(0));
  return write_at_start(fd_.get(), encode(record));
}

// Whoever folded the file that this one follows has counted the process; a reset has forgotten it.
std::uint64_t StatisticsFile::share_of_process(const TrustedDirectory& statistics) noexcept {
  struct stat status {};
  if (!processes_) return is_first_of_process(directory_) ? 1 : 0;
  const bool folded =
      ::fstatat(statistics.fd.get(), kStatisticsTotal, &status, AT_SYMLINK_NOFOLLOW) == 0;
  return made_before_ && folded ? 0 : *processes_;
}

int StatisticsFile::make(StatisticsRecord record) {
  const TrustedDirectory statistics = open_statistics(directory_.options(), Missing::kMake);
  if (!statistics) return statistics.error;
  UnfinishedFile file(statistics);
  if (file.error() != 0) return file.error();
  processes_ = share_of_process(statistics);
  record.counts.add(kProcesses, *processes_);
  // Without a lock, age tells that its process is dead.
  static_cast<void>(set_lock(file.fd(), F_WRLCK, 0, 0));
  struct stat status {};
  if (::fstat(file.fd(), &status) != 0) return errno;
  int error = file.write(encode(record));
  if (error == 0) error = file.move_to(with_suffix(file.name(), kStatisticsSuffix));
  if (error != 0) return error;
  made_before_ = true;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  fd_ = file.release();
  if (statistics_names(statistics).files.size() > kMaxStatisticsFiles) {
    static_cast<void>(fold_statistics(directory_));
  }
  return 0;
}

bool StatisticsFile::still_ours() const noexcept {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_ &&
         status.st_nlink != 0;
}

void StatisticsFile::close() noexcept {
  if (!fd_) return;
  struct stat status {};
  const bool known = ::fstat(fd_.get(), &status) == 0;
  const bool same = known ? status.st_dev == device_ && status.st_ino == inode_ : errno != EBADF;
  const int fd = fd_.release();
  // Else somebody has closed it, and the number is another's by now.
  if (same) static_cast<void>(::close(fd));
}

void StatisticsFile::forget(const Counts& counts) noexcept {
  close();
  for (std::atomic<std::uint64_t>& place : counted_roots) place = 0;
  processes_.reset();
  made_before_ = false;
  try {
    before_ = counts;
    written_ = counts;
  } catch (const std::exception&) {
    return;  // out of memory: what the parent counted may be counted twice
  }
}

}  // namespace jit::inline v1
