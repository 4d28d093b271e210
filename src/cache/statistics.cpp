#include "cache/statistics.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <thread>

#include "cache/lock_place.hpp"
#include "cache/statistics_store.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxFolded = 256;
constexpr std::int64_t kDeadAfterS = std::int64_t{7} * 24 * 3600;
constexpr std::int64_t kUnfinishedForS = 3600;

// Far in the future is as old as far in the past: some clock was wrong.
bool is_older_than(std::int64_t modified_s, std::int64_t age_s) noexcept {
  timespec now{};
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
  return std::abs(now.tv_sec - modified_s) > age_s;
}

bool is_dead(const StoredRecord& stored, bool locks_tell) noexcept {
  if (locks_tell && stored.holder != LockHolder::kUnknown) {
    return stored.holder == LockHolder::kNobody;
  }
  return is_older_than(stored.modified_s, kDeadAfterS);
}

// Where age alone tells, most are young and need not be opened for it.
bool may_be_dead(const TrustedDirectory& statistics, const std::string& file,
                 bool locks_tell) noexcept {
  struct stat status {};
  if (locks_tell || ::fstatat(statistics.fd.get(), file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return true;
  return is_older_than(status.st_mtim.tv_sec, kDeadAfterS);
}

bool remove_at(const TrustedDirectory& statistics, const std::string& file) noexcept {
  return ::unlinkat(statistics.fd.get(), file.c_str(), 0) == 0 || errno == ENOENT;
}

// Adds up all files but those that `total` contains.
void add_files(const TrustedDirectory& statistics, const StatisticsRecord& total,
               StatisticsSum& sum) {
  for (const std::string& name : statistics_names(statistics).files) {
    if (total.folded.contains(name)) continue;
    const StoredRecord stored = read_stored(statistics, with_suffix(name, kStatisticsSuffix));
    if (stored.error == ENOENT) continue;  // folded meanwhile: the total shows it
    if (!stored.record) {
      ++sum.skipped;
      continue;
    }
    sum.all.add(stored.record->counts);
    if (!sum.knows_running || stored.holder == LockHolder::kNobody) continue;
    sum.knows_running = stored.holder == LockHolder::kSomebody;
    ++sum.runtimes;
    sum.running.add(stored.record->counts);
  }
}

// One who folds; holds the lock as long as it lives.
class Folder {
 public:
  explicit Folder(const TrustedDirectory& statistics)
      : statistics_(statistics), locks_tell_(has_local_locks(statistics)) {}

  // Returns: 0, or errno.
  int take_lock() noexcept {
    lock_ = open_lock_file(statistics_, kStatisticsLock);
    if (!lock_) return errno;
    const int error = set_lock(lock_.get(), F_WRLCK, 0, 0);
    // A file system without locks is folded without.
    return error == EAGAIN ? error : 0;
  }

  FoldResult fold() {
    before_ = read_stored(statistics_, kStatisticsTotal);
    if (before_.error != 0 && before_.error != ENOENT) return {0, before_.error};
    if (before_.record) total_ = *before_.record;
    if (before_.error == 0 && !before_.record) total_.counts.add(kLostRecords, 1);
    drop_folded();
    sweep();
    const std::vector<std::string> folded = add_dead();
    if (folded.empty()) return {};
    if (const int error = replace_total(); error != 0) return {0, error};
    for (const std::string& name : folded) {
      static_cast<void>(remove_at(statistics_, with_suffix(name, kStatisticsSuffix)));
    }
    return {folded.size(), 0};
  }

 private:
  // Those that a fold before this one has added and, killed perhaps, not removed.
  void drop_folded() {
    std::erase_if(total_.folded, [this](const std::string& name) {
      return remove_at(statistics_, with_suffix(name, kStatisticsSuffix));
    });
  }

  void sweep() {
    for (const std::string& name : statistics_names(statistics_).unfinished) {
      const std::string file = with_suffix(name, kUnfinishedSuffix);
      const StoredRecord stored = read_stored(statistics_, file);
      const bool left = stored.holder != LockHolder::kSomebody && stored.error == 0;
      if (left && is_older_than(stored.modified_s, kUnfinishedForS)) remove_at(statistics_, file);
    }
  }

  std::vector<std::string> add_dead() {
    std::vector<std::string> added;
    std::vector<std::string> names = statistics_names(statistics_).files;
    names.resize(std::min(names.size(), kMaxFolded));
    for (std::string& name : names) {
      if (total_.folded.contains(name) || total_.folded.size() >= kMaxRecordFolded) continue;
      const std::string file = with_suffix(name, kStatisticsSuffix);
      if (!may_be_dead(statistics_, file, locks_tell_)) continue;
      const StoredRecord stored = read_stored(statistics_, file);
      if (stored.error != 0 || !is_dead(stored, locks_tell_)) continue;
      if (stored.record) total_.counts.add(stored.record->counts);
      else total_.counts.add(kLostRecords, 1);
      total_.folded.insert(name);
      added.push_back(std::move(name));
    }
    return added;
  }

  int replace_total() {
    UnfinishedFile file(statistics_);
    if (file.error() != 0) return file.error();
    int error = file.write(encode(total_));
    if (error == 0 && ::fsync(file.fd()) != 0 && errno != EINVAL && errno != ENOSYS) error = errno;
    if (error != 0) return error;
    // Where the lock may not reach other nodes, the last look is as late as can be.
    const StoredRecord now = read_stored(statistics_, kStatisticsTotal);
    if (now.error != before_.error || now.record != before_.record) return EAGAIN;
    return file.move_to(kStatisticsTotal);
  }

  const TrustedDirectory& statistics_;
  bool locks_tell_;
  UniqueFd lock_;
  StoredRecord before_;
  StatisticsRecord total_;
};

int reset_in(const TrustedDirectory& statistics) {
  constexpr int kAttempts = 100;
  Folder folder(statistics);
  int error = EAGAIN;
  for (int attempt = 0; attempt < kAttempts && error == EAGAIN; ++attempt) {
    if (attempt != 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    error = folder.take_lock();
  }
  if (error != 0) return error;
  // The total last: it knows which of the files are counted already.
  for (const std::string& name : statistics_names(statistics).files) {
    if (!remove_at(statistics, with_suffix(name, kStatisticsSuffix))) error = errno;
  }
  if (error == 0 && !remove_at(statistics, kStatisticsTotal)) error = errno;
  return error;
}

}  // namespace

StatisticsSum read_statistics(const Directory& directory) {
  constexpr int kAttempts = 8;
  const auto statistics = open_statistics(directory.options(), Missing::kLeave);
  if (!statistics) return {};
  StatisticsSum sum;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    sum = {};
    sum.knows_running = has_local_locks(statistics);
    const StoredRecord total = read_stored(statistics, kStatisticsTotal);
    if (total.record) sum.all.add(total.record->counts);
    else if (total.error != ENOENT) ++sum.skipped;
    add_files(statistics, total.record.value_or(StatisticsRecord{}), sum);
    // Files that went meanwhile are in another total by now.
    const StoredRecord now = read_stored(statistics, kStatisticsTotal);
    if (now.record == total.record && now.error == total.error) break;
  }
  return sum;
}

FoldResult fold_statistics(const Directory& directory) noexcept {
  try {
    if (directory.options().read_only) return {0, EROFS};
    const auto statistics = open_statistics(directory.options(), Missing::kLeave);
    if (!statistics) return {0, statistics.absent() ? 0 : statistics.error};
    Folder folder(statistics);
    if (const int error = folder.take_lock(); error != 0) return {0, error};
    return folder.fold();
  } catch (const std::exception&) {
    return {0, ENOMEM};  // there is no hurry
  }
}

int reset_statistics(const Directory& directory) noexcept {
  try {
    if (directory.options().read_only) return EROFS;
    const auto statistics = open_statistics(directory.options(), Missing::kLeave);
    if (!statistics) return statistics.absent() ? 0 : statistics.error;
    return reset_in(statistics);
  } catch (const std::exception&) {
    return ENOMEM;
  }
}

}  // namespace jit::inline v1
