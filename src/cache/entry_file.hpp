// EntryFile: one file of the cache, read and verified.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "base/file_descriptor.hpp"
#include "cache/entry.hpp"
#include "cache/layout.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

struct EntryFile {
  std::optional<Entry> entry;     // verified
  Damage damage = Damage::kNone;  // why it is no entry
  int error = 0;                  // errno, if the system refused to read it
  struct stat status {};          // of what was read; all zero if there was nothing
  UniqueFd fd;                    // still open, if there is an entry
};

// Reads `name` in `shard` whole and verifies it against what `name` says: key, release and build.
// Never blocks on a fifo, never follows a link, never maps. A file that an NFS server has replaced
// meanwhile (ESTALE) is opened once more.
EntryFile read_entry_file(const TrustedDirectory& shard, const std::string& name,
                          const EntryName& says);

}  // namespace jit::inline v1
