#include "cache/trusted_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string_view>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/layout.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kDirectoryFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr std::string_view kElsewhere = "or set CUBINET_CACHE_DIR to a directory of your own";

bool in_our_groups(gid_t group) {
  if (group == ::getegid()) return true;
  const int count = ::getgroups(0, nullptr);
  if (count <= 0) return false;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgroups(count, groups.data()) < 0) return false;
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

bool ours_or_roots(uid_t owner) noexcept { return owner == ::geteuid() || owner == 0; }

// Empty if the directory may be trusted; else what is wrong and what to do.
// `within_shared` is true below a directory that the group may write to: what is there came from
// it.
std::string distrust(const struct stat& status, const std::string& path, bool trust_group,
                     bool within_shared) {
  const bool group_writes = (status.st_mode & S_IWGRP) != 0;
  const bool trusted_group = trust_group && group_writes && in_our_groups(status.st_gid);
  if ((status.st_mode & S_IWOTH) != 0) {
    return fmt::format("everybody may write to {} (mode {:04o}); run chmod o-w on it, {}", path,
                       status.st_mode & 07777, kElsewhere);
  }
  if (group_writes && !trust_group) {
    return fmt::format(
        "the group {} may write to {} (mode {:04o}); run chmod g-w on it, set CUBINET_TRUST=group "
        "if that group is trusted, {}",
        status.st_gid, path, status.st_mode & 07777, kElsewhere);
  }
  if (group_writes && !trusted_group) {
    return fmt::format("the group {} may write to {} and is none of this process's; {}",
                       status.st_gid, path, "join it, run chmod g-w, or choose another directory");
  }
  if (ours_or_roots(status.st_uid) || trusted_group || within_shared) return {};
  return fmt::format("{} belongs to uid {}, not to uid {}; run chown on it, {}", path,
                     status.st_uid, ::geteuid(), kElsewhere);
}

TrustedDirectory failed(std::string path, int error) {
  TrustedDirectory directory;
  directory.error = error;
  if (error == ELOOP || error == ENOTDIR) {
    directory.why = fmt::format("{} is no directory; remove it, {}", path, kElsewhere);
  } else if (error == EACCES || error == EPERM) {
    directory.why = fmt::format("{}: {}; make it accessible to uid {}, {}", path, error_text(error),
                                ::geteuid(), kElsewhere);
  } else if (error == EROFS) {
    directory.why =
        fmt::format("{}: {}; set CUBINET_MODE=readonly, {}", path, error_text(error), kElsewhere);
  } else if (error != ENOENT) {
    directory.why = fmt::format("{}: {}", path, error_text(error));
  }
  directory.path = std::move(path);
  return directory;
}

TrustedDirectory checked(UniqueFd fd, std::string path, bool trust_group, bool within_shared) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return failed(std::move(path), errno);
  TrustedDirectory directory;
  directory.why = distrust(status, path, trust_group, within_shared);
  directory.path = std::move(path);
  if (!directory.why.empty()) {
    directory.error = EACCES;
    return directory;
  }
  directory.shared = (status.st_mode & S_IWGRP) != 0;
  directory.group = status.st_gid;
  directory.changed = status.st_mtim;
  directory.fd = std::move(fd);
  return directory;
}

UniqueFd open_directory(int parent, const char* name, int flags) {
  int fd = -1;
  do {
    fd = ::openat(parent, name, kDirectoryFlags | flags);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

// A link that a stranger planted (in /tmp, say) must not steer us; one's own may.
bool is_our_link(const char* path) {
  struct stat status {};
  return ::lstat(path, &status) == 0 && S_ISLNK(status.st_mode) && ours_or_roots(status.st_uid);
}

UniqueFd open_root_directory(const char* path) {
  UniqueFd fd = open_directory(AT_FDCWD, path, O_NOFOLLOW);
  const bool maybe_link = !fd && (errno == ELOOP || errno == ENOTDIR);
  if (!maybe_link) return fd;
  const int saved = errno;
  if (is_our_link(path)) return open_directory(AT_FDCWD, path, 0);
  errno = saved;
  return fd;
}

// A directory in a shared one is for the whole group, whatever the umask and the group of the one
// who makes it. If that cannot be had, it stays private.
int make_below(const TrustedDirectory& parent, const char* name) {
  const int at = parent.fd.get();
  if (::mkdirat(at, name, 0700) != 0) return errno == EEXIST ? 0 : errno;
  constexpr auto kSameOwner = static_cast<uid_t>(-1);
  if (parent.shared && ::fchownat(at, name, kSameOwner, parent.group, AT_SYMLINK_NOFOLLOW) == 0) {
    static_cast<void>(::fchmodat(at, name, S_ISGID | 0770, 0));
  }
  return 0;
}

}  // namespace

TrustedDirectory open_root(const DirectoryOptions& options, Missing missing) {
  const std::string& path = options.root.native();
  UniqueFd fd = open_root_directory(path.c_str());
  if (!fd && errno == ENOENT && missing == Missing::kMake) {
    const int error = make_private_directories(options.root);
    if (error != 0) return failed(path, error);
    fd = open_root_directory(path.c_str());
  }
  if (!fd) return failed(path, errno);
  return checked(std::move(fd), path, options.trust_group, false);
}

TrustedDirectory open_below(const TrustedDirectory& parent, const char* name, Missing missing) {
  std::string path = fmt::format("{}/{}", parent.path, name);
  UniqueFd fd = open_directory(parent.fd.get(), name, O_NOFOLLOW);
  if (!fd && errno == ENOENT && missing == Missing::kMake) {
    const int error = make_below(parent, name);
    if (error != 0) return failed(std::move(path), error);
    fd = open_directory(parent.fd.get(), name, O_NOFOLLOW);
  }
  if (!fd) return failed(std::move(path), errno);
  return checked(std::move(fd), std::move(path), parent.shared, parent.shared);
}

TrustedDirectory open_format_directory(const DirectoryOptions& options, Missing missing) {
  TrustedDirectory root = open_root(options, missing);
  if (!root) return root;
  return open_below(root, kFormatDirectory, missing);
}

Shard open_shard(const DirectoryOptions& options, const UnitKey& key, Missing missing) {
  Shard shard;
  shard.format = open_format_directory(options, missing);
  if (shard.format) {
    const std::string name = to_hex(std::span(key.bytes).first<1>());
    shard.directory = open_below(shard.format, name.c_str(), missing);
  } else {
    shard.directory.path = shard.format.path;
    shard.directory.error = shard.format.error;
    shard.directory.why = shard.format.why;
  }
  return shard;
}

std::vector<std::string> names_in(const TrustedDirectory& directory, std::size_t max) {
  std::vector<std::string> names;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd fd(::openat(directory.fd.get(), ".", kFlags));
  if (!fd) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) return names;
  static_cast<void>(fd.release());
  while (names.size() < max) {
    const dirent* const item = ::readdir(stream.get());
    if (item == nullptr) break;
    const std::string_view name = item->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

Damage check_file(const struct stat& status, bool shared) noexcept {
  if (!S_ISREG(status.st_mode)) return Damage::kNotRegular;
  if (!shared && !ours_or_roots(status.st_uid)) return Damage::kForeignOwner;
  const mode_t others = shared ? S_IWOTH : (S_IWGRP | S_IWOTH);
  return (status.st_mode & others) != 0 ? Damage::kOpenToOthers : Damage::kNone;
}

}  // namespace jit::inline v1
