// Statistics: what all processes that used a directory have counted, living and dead.
//
//   <root>/v2/stats/<16 hex>.stats   one Runtime each, locked by its process; statistics_file.hpp
//   <root>/v2/stats/<16 hex>.new     one of them being made, or a total
//   <root>/v2/stats/total            the sum of those that were folded
//   <root>/v2/stats/lock             held by the one who folds or resets
//
// To fold is to add the files of dead processes to the total and to remove them. The total that
// contains a file says so by name before the file is removed, in one rename, and says so until a
// later fold has seen that the file is gone: killed at any moment, nothing is lost or counted
// twice.
#pragma once

#include <cstddef>

#include "cache/directory.hpp"
#include "cache/statistics_record.hpp"

namespace jit::inline v1 {

inline constexpr const char* kStatisticsDirectory = "stats";
// The counts that a StatisticsFile and a fold add to those given: processes, and files of dead
// processes that were no record.
inline constexpr const char* kProcesses = "processes";
inline constexpr const char* kLostRecords = "lost_records";
// What the names of named misses begin with: "miss.absent".
inline constexpr const char* kMissPrefix = "miss.";
// As many files lie unfolded before the next one that is made folds them.
inline constexpr std::size_t kMaxStatisticsFiles = 64;

struct StatisticsSum {
  Counts all;
  Counts running;             // of the processes that run, if that can be told
  std::size_t runtimes = 0;   // that run
  bool knows_running = true;  // false where the file system's locks do not say who lives
  std::size_t skipped = 0;    // files that were no record, also when read again
};

// Adds everything up. Takes no lock and writes nothing: folds and writers that are at it meanwhile
// are noticed, and the reading is done again.
// Returns: all zero where there are none or the directory is refused; see Directory::reason().
StatisticsSum read_statistics(const Directory& directory);

struct FoldResult {
  std::size_t folded = 0;  // files
  int error = 0;           // errno; EAGAIN if another is at it
};

// Folds what is dead, 256 files at most. Dead is what nobody locks, or, where locks say nothing
// (network and unknown file systems), what has not changed for a week. Nodes whose locks do not
// reach each other may lose a count to each other if they fold in the same millisecond.
// Does nothing in a read-only Directory (EROFS).
FoldResult fold_statistics(const Directory& directory) noexcept;

// Removes all of it; processes that run begin anew. Returns: 0, or errno; EAGAIN if others fold all
// the time, EROFS in a read-only Directory.
int reset_statistics(const Directory& directory) noexcept;

}  // namespace jit::inline v1
