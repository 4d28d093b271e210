#include "cache/lock_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

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

// Whatever of the way to `path` exists already, its end.
UniqueFd open_nearest(std::filesystem::path path) {
  while (true) {
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (fd || !path.has_relative_path()) return fd;
    path = path.parent_path();
  }
}

// Whether open_lock_place() would have its locks below this root.
bool would_do(const std::filesystem::path& root) {
  DirectoryOptions own;
  own.root = root;
  const TrustedDirectory place = open_root(own, Missing::kLeave);
  if (place) return has_local_locks(place);
  if (!place.absent()) return false;
  const UniqueFd parent = open_nearest(root.parent_path());
  const auto file_system = file_system_of(parent.get());
  return file_system && file_system->local_locks &&
         ::faccessat(parent.get(), ".", W_OK | X_OK, AT_EACCESS) == 0;
}

}  // namespace

LockReport report_locks(const DirectoryOptions& options) {
  LockReport report;
  report.file_system = file_system_of(open_nearest(options.root / kFormatDirectory).get());
  report.in_cache = report.file_system && report.file_system->local_locks;
  if (options.read_only) return report;
  if (report.in_cache) {
    report.place = options.root / kFormatDirectory;
    return report;
  }
  for (const std::filesystem::path& root : places_on_this_node()) {
    if (!would_do(root)) continue;
    report.place = root;
    break;
  }
  return report;
}

bool has_local_locks(std::int64_t file_system_type) noexcept {
  return file_system_of_type(file_system_type).local_locks;
}

bool has_local_locks(const TrustedDirectory& directory) noexcept {
  const auto file_system = file_system_of(directory.fd.get());
  return file_system && file_system->local_locks;
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
