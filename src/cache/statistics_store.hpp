// Statistics store: the files below <root>/v2/stats as statistics.hpp names them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "cache/file_lock.hpp"
#include "cache/statistics_record.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

inline constexpr const char* kStatisticsTotal = "total";
inline constexpr const char* kStatisticsLock = "lock";
inline constexpr std::string_view kStatisticsSuffix = ".stats";
inline constexpr std::string_view kUnfinishedSuffix = ".new";

TrustedDirectory open_statistics(const DirectoryOptions& options, Missing missing);

// The names of the processes' files, without suffix; `unfinished` the others'. By chance, so that
// those who look at a few only do not all look at the same.
struct StatisticsNames {
  std::vector<std::string> files;
  std::vector<std::string> unfinished;
};
StatisticsNames statistics_names(const TrustedDirectory& statistics);

std::string with_suffix(std::string_view name, std::string_view suffix);

struct StoredRecord {
  std::optional<StatisticsRecord> record;
  int error = 0;  // errno, if the system refused to read it; 0 without record: it is damaged
  LockHolder holder = LockHolder::kUnknown;
  std::int64_t modified_s = 0;  // since the epoch
};
// Reads a file whose writer may be at it: what does not hold together is read again a few times.
StoredRecord read_stored(const TrustedDirectory& statistics, const std::string& file);

// A new file "<16 hex>.new", open for writing and removed when it goes, unless it was renamed.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const TrustedDirectory& statistics);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  // Each returns 0, or errno.
  int error() const noexcept { return error_; }
  int write(std::string_view text) noexcept;  // at its beginning
  int move_to(const std::string& file) noexcept;

  const std::string& name() const noexcept { return name_; }  // without suffix
  int fd() const noexcept { return fd_.get(); }
  UniqueFd release() noexcept { return std::move(fd_); }

 private:
  const TrustedDirectory& statistics_;
  std::string name_;
  UniqueFd fd_;
  int error_ = 0;
  bool exists_ = false;
};

// Writes all of `text` at the beginning of a file. Returns: 0, or errno.
int write_at_start(int fd, std::string_view text) noexcept;

}  // namespace jit::inline v1
