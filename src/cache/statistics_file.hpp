// StatisticsFile: the counts of one Runtime on disk.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "base/file_descriptor.hpp"
#include "cache/directory.hpp"
#include "cache/statistics_record.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

// StatisticsFile is <root>/v2/stats/<16 hex>.stats, made at the first write and rewritten in place,
// never mapped. Its writer holds a lock on it as long as it lives, however it dies; after that the
// file stays until it is folded into the total (statistics.hpp).
//
// A record goes out in one write and as a rule is smaller than a page, so a killed writer leaves
// the old text or the new one; a reader that meets both has the checksum. Where the file was
// removed under our hands (a reset, a cleaned cache), a new one begins with what came after the
// last write.
//
// Besides the counts given it says "processes": 1, or 0 if another StatisticsFile of this process
// has said so for the same root.
// Threads: one at a time. Fork: the child calls forget().
class StatisticsFile {
 public:
  // Touches no disk. Lifetime: `directory` outlives it.
  explicit StatisticsFile(const Directory& directory) noexcept : directory_(directory) {}
  ~StatisticsFile() { close(); }
  StatisticsFile(const StatisticsFile&) = delete;
  StatisticsFile& operator=(const StatisticsFile&) = delete;

  // Makes the file say `counts`; does nothing if it does already, or in a read-only Directory.
  // Requires: no count is less than in the call before.
  // Returns: 0, or errno; the next write tries again.
  // Cost: two system calls; the first write makes the file, and folds if there are very many.
  int write(const Counts& counts) noexcept;

  // In a forked child: leaves the parent's file to the parent, its lock as it is. What `counts`
  // says now is the parent's; a file of the child's own begins after it.
  void forget(const Counts& counts) noexcept;

 private:
  int try_write(const Counts& counts);
  int make(StatisticsRecord record);
  int rewrite(StatisticsRecord record);
  std::uint64_t share_of_process(const TrustedDirectory& statistics) noexcept;
  bool still_ours() const noexcept;
  void close() noexcept;

  const Directory& directory_;
  UniqueFd fd_;
  dev_t device_ = 0;  // of the file behind fd_: somebody may have closed and reused the number
  ino_t inode_ = 0;
  Counts before_;                           // not for this file to say
  Counts written_;                          // by the last write that succeeded
  std::optional<std::uint64_t> processes_;  // what it says of them, once that is settled
  bool made_before_ = false;
};

}  // namespace jit::inline v1
