#include "cache/statistics_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/lock_place.hpp"
#include "cache/statistics.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxNames = 65'536;

std::uint64_t random_bits() noexcept {
  std::uint64_t bits = static_cast<std::uint64_t>(::getpid());
  static_cast<void>(::getrandom(&bits, sizeof bits, GRND_NONBLOCK));
  return bits;
}

std::optional<std::string> without_suffix(std::string_view file, std::string_view suffix) {
  std::array<std::uint8_t, 8> bits{};
  if (!file.ends_with(suffix)) return std::nullopt;
  file.remove_suffix(suffix.size());
  if (!from_hex(file, bits)) return std::nullopt;
  return std::string(file);
}

StoredRecord failed(int error) {
  StoredRecord stored;
  stored.error = error;
  return stored;
}

StoredRecord read_once(const TrustedDirectory& statistics, const std::string& file) {
  const UniqueFd fd = open_for_reading(statistics.fd.get(), file.c_str());
  if (!fd) return failed(errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return failed(errno);
  StoredRecord stored;
  stored.modified_s = status.st_mtim.tv_sec;
  if (check_file(status, statistics.shared) != Damage::kNone) return stored;
  stored.holder = holder_of(fd.get());
  std::string text(kMaxRecordBytes + 1, '\0');
  const ssize_t count =
      read_fully(fd.get(), {reinterpret_cast<std::byte*>(text.data()), text.size()});
  if (count < 0) return failed(errno);
  text.resize(static_cast<std::size_t>(count));
  stored.record = decode_statistics(text);
  return stored;
}

}  // namespace

TrustedDirectory open_statistics(const DirectoryOptions& options, Missing missing) {
  const TrustedDirectory format = open_format_directory(options, missing);
  if (format) return open_below(format, kStatisticsDirectory, missing);
  TrustedDirectory none;
  none.path = format.path;
  none.error = format.error;
  none.why = format.why;
  return none;
}

StatisticsNames statistics_names(const TrustedDirectory& statistics) {
  StatisticsNames names;
  for (const std::string& file : names_in(statistics, kMaxNames)) {
    if (auto name = without_suffix(file, kStatisticsSuffix)) {
      names.files.push_back(std::move(*name));
    } else if (auto unfinished = without_suffix(file, kUnfinishedSuffix)) {
      names.unfinished.push_back(std::move(*unfinished));
    }
  }
  std::shuffle(names.files.begin(), names.files.end(), std::mt19937_64(random_bits()));
  return names;
}

std::string with_suffix(std::string_view name, std::string_view suffix) {
  return fmt::format("{}{}", name, suffix);
}

StoredRecord read_stored(const TrustedDirectory& statistics, const std::string& file) {
  constexpr int kAttempts = 5;
  StoredRecord stored;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stored = read_once(statistics, file);
    const bool damaged = stored.error == 0 && !stored.record;
    if (!damaged && stored.error != ESTALE) break;
    // Nobody writes any more, so it stays as it is.
    if (damaged && stored.holder == LockHolder::kNobody && has_local_locks(statistics)) break;
  }
  return stored;
}

UnfinishedFile::UnfinishedFile(const TrustedDirectory& statistics) : statistics_(statistics) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  for (int attempt = 0; attempt < 4; ++attempt) {
    name_ = fmt::format("{:016x}", random_bits() + static_cast<std::uint64_t>(attempt));
    const std::string file = with_suffix(name_, kUnfinishedSuffix);
    fd_.reset(::openat(statistics.fd.get(), file.c_str(), kFlags, 0600));
    error_ = fd_ ? 0 : errno;
    if (fd_ || (error_ != EEXIST && error_ != EINTR)) break;
  }
  exists_ = static_cast<bool>(fd_);
  // The group's reading right is not for the umask to take away.
  if (exists_ && statistics.shared && ::fchmod(fd_.get(), 0640) != 0) error_ = errno;
}

UnfinishedFile::~UnfinishedFile() {
  if (!exists_) return;
  const std::string file = with_suffix(name_, kUnfinishedSuffix);
  static_cast<void>(::unlinkat(statistics_.fd.get(), file.c_str(), 0));
}

int UnfinishedFile::write(std::string_view text) noexcept {
  return write_at_start(fd_.get(), text);
}

int UnfinishedFile::move_to(const std::string& file) noexcept {
  const std::string from = with_suffix(name_, kUnfinishedSuffix);
  const int at = statistics_.fd.get();
  if (::renameat(at, from.c_str(), at, file.c_str()) != 0) return errno;
  exists_ = false;
  return 0;
}

int write_at_start(int fd, std::string_view text) noexcept {
  // Beyond this limit the system would not only refuse but raise SIGXFSZ, which kills.
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && text.size() > limit.rlim_cur) return EFBIG;
  off_t done = 0;
  while (!text.empty()) {
    const ssize_t count = ::pwrite(fd, text.data(), text.size(), done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    text.remove_prefix(static_cast<std::size_t>(count));
    done += count;
  }
  return 0;
}

}  // namespace jit::inline v1
