#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "base/quantity.hpp"
#include "cache/directory.hpp"
#include "cache/layout.hpp"
#include "cache/quarantine.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxNamesSwept = 1024;
constexpr std::int64_t kStaleAfterS = 3600;

// A file in <root>/v2/tmp, unlinked when it goes unless it was renamed away.
class TemporaryFile {
 public:
  TemporaryFile(const TrustedDirectory& directory, const UnitKey& key) : directory_(directory) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    for (int attempt = 0; attempt < 4; ++attempt) {
      std::uint64_t bits = static_cast<std::uint64_t>(attempt);
      static_cast<void>(::getrandom(&bits, sizeof bits, GRND_NONBLOCK));
      name_ =
          fmt::format("{}.{}-{:016x}", to_hex(std::span(key.bytes).first<8>()), ::getpid(), bits);
      fd_.reset(::openat(directory.fd.get(), name_.c_str(), kFlags, 0600));
      error_ = fd_ ? 0 : errno;
      if (fd_ || (error_ != EEXIST && error_ != EINTR)) break;
    }
    exists_ = static_cast<bool>(fd_);
  }
  ~TemporaryFile() {
    if (exists_) static_cast<void>(::unlinkat(directory_.fd.get(), name_.c_str(), 0));
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile(TemporaryFile&&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  TemporaryFile& operator=(TemporaryFile&&) = delete;

  // Each returns 0 or errno.
  int error() const { return error_; }
  int write(std::span<const std::byte> bytes) {
    // Beyond this limit the system would not only refuse but raise SIGXFSZ, which kills.
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes.size() > limit.rlim_cur) return EFBIG;
    // The group's rights are not for the umask to take away. It may write because only who may
    // write can touch what another has made; the directory lets it replace the file anyway.
    if (directory_.shared && ::fchmod(fd_.get(), 0660) != 0) return errno;
    if (const int error = write_fully(fd_.get(), bytes); error != 0) return error;
    int status = 0;
    do {
      status = ::fsync(fd_.get());
    } while (status != 0 && errno == EINTR);
    // Some file systems cannot sync and say so; the entry's checksum covers for them.
    if (status != 0 && errno != EINVAL && errno != ENOSYS) return errno;
    return fd_.close();
  }
  int move_to(const TrustedDirectory& target, const std::string& name) {
    if (::renameat(directory_.fd.get(), name_.c_str(), target.fd.get(), name.c_str()) != 0) {
      return errno;
    }
    exists_ = false;
    return 0;
  }

 private:
  const TrustedDirectory& directory_;
  std::string name_;
  UniqueFd fd_;
  int error_ = 0;
  bool exists_ = false;
};

const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space (cubinet cache gc), or set CUBINET_CACHE_DIR to another disk";
    case EROFS: return "; set CUBINET_MODE=readonly, or CUBINET_CACHE_DIR to a writable directory";
    case EACCES:
    case EPERM: return "; make it writable, or set CUBINET_CACHE_DIR to a directory of your own";
    case EFBIG: return "; raise the limit of file sizes (ulimit -f)";
    case EMFILE: return "; raise the limit of open files (ulimit -n)";
    default: return "";
  }
}

PublishResult system_failure(const char* verb, const TrustedDirectory& where, int error) {
  return {false, error,
          fmt::format("{} {}: {}{}", verb, where.path, error_text(error), remedy(error))};
}

// More than is free is the system's to refuse, in its own words.
bool leaves_floor(const std::optional<std::uint64_t>& min_free, const PublishResult& result) {
  if (!result.space || result.space->free_bytes < result.bytes) return true;
  const std::uint64_t left = result.space->free_bytes - result.bytes;
  return left >= free_space_floor(min_free, *result.space);
}

PublishResult refused_for_floor(const std::optional<std::uint64_t>& min_free, PublishResult result,
                                const TrustedDirectory& where) {
  result.error = ENOSPC;
  result.what = fmt::format(
      "write a file in {}: {} are free, and {} shall stay so; free some space, lower "
      "CUBINET_CACHE_MIN_FREE, or set CUBINET_CACHE_DIR to another disk",
      where.path, format_bytes(result.space->free_bytes),
      format_bytes(free_space_floor(min_free, *result.space)));
  return result;
}

std::size_t sweep_in(const TrustedDirectory& temporary) {
  timespec now{};
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
  std::size_t swept = 0;
  for (const std::string& name : names_in(temporary, kMaxNamesSwept)) {
    struct stat status {};
    const int at = temporary.fd.get();
    if (::fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    // Far in the future is as dead as far in the past: some clock was wrong.
    const bool stale = std::abs(now.tv_sec - status.st_mtim.tv_sec) > kStaleAfterS;
    if (stale && ::unlinkat(at, name.c_str(), 0) == 0) ++swept;
  }
  return swept;
}

}  // namespace

PublishResult Directory::publish(const Entry& entry, Failure failure) const noexcept {
  try {
    if (options_.read_only) return {false, EROFS, "the cache is read-only"};
    PublishResult result{false, 0, "the entry exceeds a limit of the format"};
    const std::vector<std::byte> bytes = encode(entry);
    if (!bytes.empty()) result = try_publish(entry, bytes);
    // Somebody removed the cache under our hands; it is made anew.
    if (result.error == ENOENT) result = try_publish(entry, bytes);
    result.bytes = bytes.size();
    if (result.ok) {
      counters_.published.fetch_add(1, std::memory_order_relaxed);
      return result;
    }
    counters_.publish_failures.fetch_add(1, std::memory_order_relaxed);
    if (failure == Failure::kReturn) return result;
    // A directory that is not to be trusted is warned about once, whether read or written first.
    const std::string id = reason().empty()
                               ? fmt::format("publish:{}:{}", options_.root.native(), result.error)
                               : fmt::format("refused:{}", options_.root.native());
    logger_.warn_once(id, fmt::format("publish {}: {}; the kernel stays in memory only",
                                      entry.signature, result.what));
    return result;
  } catch (const std::exception&) {
    counters_.publish_failures.fetch_add(1, std::memory_order_relaxed);
    return {false, ENOMEM, {}};
  }
}

PublishResult Directory::try_publish(const Entry& entry,
                                     const std::vector<std::byte>& bytes) const {
  const Shard shard = open_shard(options_, entry.key, Missing::kMake);
  if (!shard.directory) return {false, shard.directory.error, shard.directory.why};
  const auto temporary = open_below(shard.format, kTemporaryDirectory, Missing::kMake);
  if (!temporary) return {false, temporary.error, temporary.why};
  if (!swept_once_.exchange(true)) counters_.swept.fetch_add(sweep_in(temporary));

  PublishResult result;
  result.bytes = bytes.size();
  result.space = free_space_of(temporary.fd.get());
  if (!leaves_floor(options_.min_free_bytes, result)) {
    return refused_for_floor(options_.min_free_bytes, std::move(result), temporary);
  }
  TemporaryFile file(temporary, entry.key);
  if (file.error() != 0) return system_failure("make a file in", temporary, file.error());
  int error = file.write(bytes);
  if (error != 0) return system_failure("write a file in", temporary, error);
  const std::string name = entry_name(entry.key, entry.artifact.toolchain);
  error = file.move_to(shard.directory, name);
  if (error == EISDIR || error == ENOTEMPTY || error == EEXIST) {
    struct stat seen {};
    const int at = shard.directory.fd.get();
    const bool in_the_way = ::fstatat(at, name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0;
    if (in_the_way) set_aside(shard, name, seen, Damage::kNotRegular);
    error = file.move_to(shard.directory, name);
  }
  if (error != 0) return system_failure("rename a file to", shard.directory, error);
  result.ok = true;
  return result;
}

std::size_t Directory::sweep() const noexcept {
  try {
    if (options_.read_only) return 0;
    const auto format = open_format_directory(options_, Missing::kLeave);
    if (!format) return 0;
    const auto temporary = open_below(format, kTemporaryDirectory, Missing::kLeave);
    if (!temporary) return 0;
    const std::size_t swept = sweep_in(temporary);
    counters_.swept.fetch_add(swept, std::memory_order_relaxed);
    return swept;
  } catch (const std::exception&) {
    return 0;  // out of memory; there is no hurry
  }
}

}  // namespace jit::inline v1
