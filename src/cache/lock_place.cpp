#include "cache/lock_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/environment.hpp"
#include "base/file.hpp"
#include "cache/layout.hpp"

namespace jit::inline v1 {
namespace {

std::vector<std::filesystem::path> places_on_this_node() {
  std::vector<std::filesystem::path> places;
  if (const auto run = get_env("XDG_RUNTIME_DIR"); run && run->front() == '/') {
    places.push_back(std::filesystem::path(*run) / "cubinet");
  }
  for (const char* parent : {"/dev/shm", "/tmp"}) {
    places.emplace_back(fmt::format("{}/cubinet-{}", parent, ::geteuid()));
  }
  return places;
}

}  // namespace

bool has_local_locks(std::int64_t file_system_type) noexcept {
  // From statfs(2): ext2-4, xfs, btrfs, tmpfs, ramfs, overlayfs, zfs, f2fs, bcachefs, reiserfs,
  // jfs.
  constexpr std::array<std::int64_t, 11> kLocal = {0xef53,     0x58465342, 0x9123683e, 0x01021994,
                                                   0x858458f6, 0x794c7630, 0x2fc12fc1, 0xf2f52010,
                                                   0xca451a4e, 0x52654973, 0x3153464a};
  for (const std::int64_t type : kLocal) {
    if (type == file_system_type) return true;
  }
  return false;
}

bool has_local_locks(const TrustedDirectory& directory) noexcept {
  struct statfs status {};
  if (::fstatfs(directory.fd.get(), &status) != 0) return false;
  return has_local_locks(static_cast<std::int64_t>(status.f_type));
}

TrustedDirectory open_lock_place(const DirectoryOptions& options) {
  TrustedDirectory place;
  place.error = EROFS;
  place.why = "the cache is read-only";
  if (options.read_only) return place;
  place = open_format_directory(options, Missing::kMake);
  if (!place || has_local_locks(place)) return place;
  std::string tried;
  for (const std::filesystem::path& root : places_on_this_node()) {
    DirectoryOptions own;
    own.root = root;
    place = open_root(own, Missing::kMake);
    if (place && has_local_locks(place)) return place;
    tried +=
        fmt::format("{}{}", tried.empty() ? "" : ", ",
                    place ? fmt::format("{}: no local file system", root.native()) : place.why);
  }
  place = {};
  place.error = ENOLCK;
  place.why =
      fmt::format("{} is on no local file system, and there is no other place for locks: {}",
                  options.root.native(), tried);
  return place;
}

UniqueFd open_lock_file(const TrustedDirectory& place, const char* name) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  UniqueFd fd(::openat(place.fd.get(), name, kFlags, 0600));
  if (!fd) return fd;
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return UniqueFd();
  // Whoever made it in a shared directory opens it to the group, umask or not.
  const bool widen =
      place.shared && status.st_uid == ::geteuid() && (status.st_mode & 0060) != 0060;
  if (widen && ::fchmod(fd.get(), 0660) != 0) return UniqueFd();
  if (check_file(status, place.shared) != Damage::kNone) {
    errno = EPERM;
    return UniqueFd();
  }
  return fd;
}

}  // namespace jit::inline v1
