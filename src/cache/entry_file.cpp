#include "cache/entry_file.hpp"

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <span>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

EntryFile failed(int error) {
  EntryFile file;
  file.error = error;
  return file;
}

// What open() refuses as a link or a socket is looked at by name, so that it can be moved aside.
EntryFile not_opened(const TrustedDirectory& shard, const std::string& name, int error) {
  if (error != ELOOP && error != ENXIO) return failed(error);
  EntryFile file;
  if (::fstatat(shard.fd.get(), name.c_str(), &file.status, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed(errno);
  }
  // A regular file that open() refused like that is no damage, but a file system's whim.
  if (S_ISREG(file.status.st_mode)) return failed(error);
  file.damage = Damage::kNotRegular;
  return file;
}

EntryFile read_once(const TrustedDirectory& shard, const std::string& name, const EntryName& says) {
  UniqueFd fd = open_for_reading(shard.fd.get(), name.c_str());
  if (!fd) return not_opened(shard, name, errno);
  EntryFile file;
  if (::fstat(fd.get(), &file.status) != 0) return failed(errno);
  file.damage = check_file(file.status, shard.shared);
  if (file.damage != Damage::kNone) return file;
  const auto size = static_cast<std::uint64_t>(file.status.st_size);
  if (size > kMaxEntryBytes) {
    file.damage = Damage::kBadLength;
    return file;
  }
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  const ssize_t count = read_fully(fd.get(), {buffer.get(), size});
  if (count < 0) return failed(errno);
  Decoded decoded = decode({buffer.get(), static_cast<std::size_t>(count)}, &says.key);
  file.damage = decoded.damage;
  if (decoded.entry && !says.matches(decoded.entry->artifact.toolchain)) {
    file.damage = Damage::kWrongToolchain;
  }
  if (file.damage != Damage::kNone) return file;
  file.entry = std::move(decoded.entry);
  file.fd = std::move(fd);
  return file;
}

}  // namespace

EntryFile read_entry_file(const TrustedDirectory& shard, const std::string& name,
                          const EntryName& says) {
  EntryFile file = read_once(shard, name, says);
  if (file.error == ESTALE) file = read_once(shard, name, says);
  return file;
}

}  // namespace jit::inline v1
