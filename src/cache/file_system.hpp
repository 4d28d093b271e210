// FileSystem: what kind of file system something lies on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace jit::inline v1 {

struct FileSystem {
  std::int64_t type = 0;     // f_type of statfs(2)
  bool local_locks = false;  // it keeps its locks on this node and keeps them right
  std::string name() const;  // "ext4", "nfs"; "0x12345678" if it has no name here
};

// The file system of an open file or directory. Returns: nullopt if the system does not say.
std::optional<FileSystem> file_system_of(int fd);
FileSystem file_system_of_type(std::int64_t type);

}  // namespace jit::inline v1
