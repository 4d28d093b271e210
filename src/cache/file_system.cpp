#include "cache/file_system.hpp"

#include <fmt/format.h>
#include <sys/vfs.h>

#include <array>

namespace jit::inline v1 {
namespace {

struct Known {
  std::int64_t type;
  const char* name;
  bool local_locks;
};

// From statfs(2) and linux/magic.h. What is not in it counts as remote: there the lock goes to
// another place, and nothing is lost.
constexpr std::array kKnown{
    Known{0xef53, "ext4", true},         Known{0x58465342, "xfs", true},
    Known{0x9123683e, "btrfs", true},    Known{0x01021994, "tmpfs", true},
    Known{0x858458f6, "ramfs", true},    Known{0x794c7630, "overlayfs", true},
    Known{0x2fc12fc1, "zfs", true},      Known{0xf2f52010, "f2fs", true},
    Known{0xca451a4e, "bcachefs", true}, Known{0x52654973, "reiserfs", true},
    Known{0x3153464a, "jfs", true},      Known{0x6969, "nfs", false},
    Known{0x517b, "smb", false},         Known{0xff534d42, "cifs", false},
    Known{0xfe534d42, "smb2", false},    Known{0x65735546, "fuse", false},
    Known{0x00c36400, "ceph", false},    Known{0x0bd00bd0, "lustre", false},
    Known{0x47504653, "gpfs", false},    Known{0x19830326, "beegfs", false},
    Known{0x01021997, "9p", false},      Known{0x5346414f, "afs", false},
    Known{0x7461636f, "ocfs2", false},   Known{0x01161970, "gfs2", false},
    Known{0x786f4256, "vboxsf", false},  Known{0x73717368, "squashfs", false},
    Known{0xe0f5e1e2, "erofs", false},   Known{0x9660, "iso9660", false},
};

const Known* find(std::int64_t type) {
  for (const Known& known : kKnown) {
    if (known.type == type) return &known;
  }
  return nullptr;
}

}  // namespace

std::string FileSystem::name() const {
  const Known* const known = find(type);
  return known != nullptr ? known->name : fmt::format("{:#x}", type);
}

FileSystem file_system_of_type(std::int64_t type) {
  const Known* const known = find(type);
  return {type, known != nullptr && known->local_locks};
}

std::optional<FileSystem> file_system_of(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return std::nullopt;
  // The type has 32 bits; where it is kept as a signed word of them, it must not grow.
  return file_system_of_type(static_cast<std::int64_t>(static_cast<std::uint32_t>(status.f_type)));
}

}  // namespace jit::inline v1
