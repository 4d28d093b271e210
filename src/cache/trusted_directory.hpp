// TrustedDirectory: a directory that was looked at before it is used.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "cache/directory.hpp"

namespace jit::inline v1 {

enum class Missing : bool { kLeave, kMake };

// TrustedDirectory is an open directory whose owner, type and mode were checked on the descriptor,
// or the reason why there is none.
//
// Trusted is what belongs to this user or root and cannot be written to by anybody else. With
// trust_group, its group may write if it is one of this process's groups, and it may then belong to
// anyone. Others may never.
struct TrustedDirectory {
  UniqueFd fd;          // O_PATH: good for *at() calls
  std::string path;     // for messages
  bool shared = false;  // its group may write
  gid_t group = 0;
  timespec changed{};  // its mtime: when a name was last added or removed
  int error = 0;       // errno; EACCES if refused
  std::string why;     // one line: what is wrong and what to do; empty if simply absent

  explicit operator bool() const noexcept { return static_cast<bool>(fd); }
  bool absent() const noexcept { return error == ENOENT; }
};

// Opens <root>. A link in its last place is followed only if it belongs to this user or root.
TrustedDirectory open_root(const DirectoryOptions& options, Missing missing);

// Opens a directory below another; a link is refused. A new one gets mode 0700, or 0770 in a shared
// parent.
TrustedDirectory open_below(const TrustedDirectory& parent, const char* name, Missing missing);

// <root>/v2.
TrustedDirectory open_format_directory(const DirectoryOptions& options, Missing missing);

// The two directories that lead to an entry: <root>/v2 and <root>/v2/<2 hex>. Where the first could
// not be had, the second carries its reason.
struct Shard {
  TrustedDirectory format;
  TrustedDirectory directory;
};
Shard open_shard(const DirectoryOptions& options, const UnitKey& key, Missing missing);

// Names in a directory, without "." and "..", in the file system's order; at most `max`. Empty if
// it cannot be read.
std::vector<std::string> names_in(const TrustedDirectory& directory, std::size_t max);

// Whether the file behind a descriptor may be believed, by the rules above.
// Returns: kNone, kNotRegular, kForeignOwner or kOpenToOthers.
Damage check_file(const struct stat& status, bool shared) noexcept;

}  // namespace jit::inline v1
