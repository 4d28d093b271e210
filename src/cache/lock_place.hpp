// LockPlace: the directory whose lock file the processes of this node share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "cache/directory.hpp"
#include "cache/file_system.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

// True if a file system of this type (statfs f_type) keeps its locks on this node and keeps them
// right. Unknown ones count as remote: there the lock goes to another place, and nothing is lost.
bool has_local_locks(std::int64_t file_system_type) noexcept;

// The directory for the lock file: <root>/v2, or one of this user's on this node where that is on a
// network or unknown file system. Made if missing.
// Returns: a directory without descriptor, with the reason in `why`, if there is none.
TrustedDirectory open_lock_place(const DirectoryOptions& options);

// What open_lock_place() would choose, for people. Makes nothing.
struct LockReport {
  std::optional<FileSystem> file_system;  // that the cache is on, or would be; unset: not known
  bool in_cache = false;                  // locks work there; else they go elsewhere on this node
  std::filesystem::path place;            // the lock file's directory; empty: there are no locks
};
LockReport report_locks(const DirectoryOptions& options);

// Opens, and if need be makes, a lock file. Returns: no descriptor, and errno, if not; EPERM if
// something else stands in its place.
UniqueFd open_lock_file(const TrustedDirectory& place, const char* name);

// Whether locks on the files of a directory are the whole truth on this node, and the only one.
bool has_local_locks(const TrustedDirectory& directory) noexcept;

}  // namespace jit::inline v1
