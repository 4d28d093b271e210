#include "runtime/line_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/file.hpp"
#include "cache/file_lock.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::chrono::milliseconds kLockPause{1};
// Of a file that is replaced again and again.
constexpr int kOpens = 20;
constexpr std::size_t kReadBytes = std::size_t{64} << 10;

int open_to_append(const std::filesystem::path& path, mode_t mode) noexcept {
  // O_NONBLOCK: a fifo without a reader is refused, not waited for.
  constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = -1;
  do {
    fd = ::openat(AT_FDCWD, path.c_str(), kFlags, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// Returns: 0, or the errno of the last attempt.
int lock_within(int fd, std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  int status = set_lock(fd, F_WRLCK, 0, 0);
  while (status == EAGAIN && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(kLockPause);
    status = set_lock(fd, F_WRLCK, 0, 0);
  }
  return status;
}

bool is_file_at(const std::filesystem::path& path, int fd) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::fstatat(AT_FDCWD, path.c_str(), &named, 0) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

off_t size_of(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_size : 0;
}

}  // namespace

std::size_t DigestHash::operator()(const Xxh3Digest& digest) const noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

UniqueFd hold_line_file(const std::filesystem::path& path, std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (true) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    const auto left = give_up - std::chrono::steady_clock::now();
    const auto left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left);
    if (!fd || lock_within(fd.get(), left_ms) != 0) return UniqueFd();
    // Another holder may have replaced it meanwhile: then this one holds up nobody.
    if (is_file_at(path, fd.get())) return fd;
  }
}

std::string LineFile::append(std::string_view line) {
  std::string error;
  const UniqueFd fd = open(&error);
  if (!fd) return error;
  error = read_new_lines(fd.get());
  if (error.empty() && !lines_.contains(xxh3_128(as_bytes(line)))) {
    error = write_line(fd.get(), line);
  }
  // A child forked meanwhile has the descriptor, too, and would keep the lock.
  if (locked_) static_cast<void>(set_lock(fd.get(), F_UNLCK, 0, 0));
  return error;
}

UniqueFd LineFile::open(std::string* error) {
  for (int i = 0;; ++i) {
    UniqueFd fd(open_to_append(path_, form_.mode));
    if (!fd) {
      *error = error_text(errno);
      return fd;
    }
    struct stat status {};
    const bool known = ::fstat(fd.get(), &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
      *error = known ? "it is no regular file" : error_text(errno);
      return UniqueFd();
    }
    lock(fd.get());
    // Whoever replaces the file does so under its lock; what is written to the old one is lost.
    if (is_file_at(path_, fd.get()) || i + 1 == kOpens) return fd;
  }
}

void LineFile::lock(int fd) {
  const int status = lock_within(fd, patient_ ? kLockPatience : std::chrono::milliseconds(0));
  locked_ = status == 0;
  patient_ = status != EAGAIN;
}

std::string LineFile::read_new_lines(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return error_text(errno);
  const bool same = status.st_dev == seen_.device && status.st_ino == seen_.inode &&
                    status.st_size >= seen_.bytes;
  if (!same) {
    lines_.clear();
    seen_ = {status.st_dev, status.st_ino, 0, false};
  }
  if (static_cast<std::uint64_t>(status.st_size) > form_.max_bytes) {
    return fmt::format("it has {} bytes, and more than {} are no {}", status.st_size,
                       form_.max_bytes, form_.what);
  }
  std::string text;
  while (true) {
    const std::size_t kept = text.size();
    text.resize(kept + kReadBytes);
    const ssize_t count =
        ::pread(fd, text.data() + kept, kReadBytes, seen_.bytes + static_cast<off_t>(kept));
    if (count < 0 && errno != EINTR) return error_text(errno);
    text.resize(kept + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) break;
    if (seen_.bytes == 0 && text.find_first_not_of("\r\n{") == 0) return foreign();
    std::string_view rest = text;
    take_lines(rest);
    text.erase(0, text.size() - rest.size());
    if (text.size() > form_.max_line_bytes) return foreign();
  }
  seen_.torn = !text.empty();
  return {};
}

// A mistyped path must not cost another file its form.
std::string LineFile::foreign() const {
  return fmt::format("it holds something else than a {}", form_.what);
}

// Takes whole lines from the front of `text`.
void LineFile::take_lines(std::string_view& text) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines_.insert(xxh3_128(as_bytes(text.substr(0, end))));
    text.remove_prefix(end + 1);
    seen_.bytes += static_cast<off_t>(end + 1);
  }
}

std::string LineFile::write_line(int fd, std::string_view line) {
  const std::string text = fmt::format("{}{}\n", seen_.torn ? "\n" : "", line);
  const off_t before = size_of(fd);
  if (static_cast<std::uint64_t>(before) + text.size() > form_.max_bytes) {
    return fmt::format("it is full, with {} MiB", form_.max_bytes >> 20);
  }
  // Beyond this limit the system would not only refuse but raise SIGXFSZ, which kills.
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
      static_cast<std::uint64_t>(before) + text.size() > limit.rlim_cur) {
    return error_text(EFBIG);
  }
  ssize_t count = 0;
  do {
    count = ::write(fd, text.data(), text.size());
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(text.size())) return {};
  const int error = count < 0 ? errno : ENOSPC;
  // Nobody else has written since: half a line need not stay.
  if (count > 0 && locked_) static_cast<void>(::ftruncate(fd, before));
  return error_text(error);
}

}  // namespace jit::inline v1
