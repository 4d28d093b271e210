#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace jit::inline v1 {
namespace {

std::string random_suffix() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof bits)) {
    bits = reinterpret_cast<std::uintptr_t>(&bits);
  }
  return fmt::format(".{}-{:016x}.tmp", ::getpid(), bits);
}

}  // namespace

std::string error_text(int error) {
  const char* words = ::strerrordesc_np(error);
  const char* name = ::strerrorname_np(error);
  if (words == nullptr || name == nullptr) return fmt::format("error {}", error);
  std::string text = fmt::format("{} ({})", words, name);
  // Errors read on in mid-sentence; "I/O error" keeps its capitals.
  const auto second = static_cast<unsigned char>(text[1]);
  if (std::islower(second) != 0 || second == ' ') {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

UniqueFd open_for_reading(int directory, const char* path) noexcept {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  int fd = -1;
  do {
    fd = ::openat(directory, path, kFlags);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

ssize_t read_fully(int fd, std::span<std::byte> buffer) noexcept {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count = ::read(fd, buffer.data() + done, buffer.size() - done);
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    done += static_cast<std::size_t>(count);
  }
  return static_cast<ssize_t>(done);
}

int write_fully(int fd, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    // A file system that takes nothing and gives no reason would keep us here for ever.
    if (count == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes,
                                     int* error) {
  const auto fail = [error](int code) {
    if (error != nullptr) *error = code;
    return std::nullopt;
  };
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail(errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail(errno);
  if (!S_ISREG(status.st_mode)) return fail(S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) return fail(EFBIG);
  std::string text;
  // Files of /proc and files that grow say less than they hold, so the end of file decides.
  std::size_t room =
      std::min(std::max(static_cast<std::size_t>(status.st_size), std::size_t{4095}), max_bytes) +
      1;
  std::size_t done = 0;
  while (true) {
    text.resize(done + room);
    const ssize_t count =
        read_fully(fd.get(), {reinterpret_cast<std::byte*>(text.data()) + done, room});
    if (count < 0) return fail(errno);
    done += static_cast<std::size_t>(count);
    if (done > max_bytes) return fail(EFBIG);
    if (static_cast<std::size_t>(count) < room) break;
    room = std::min(done, max_bytes - done) + 1;
  }
  text.resize(done);
  return text;
}

int replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  // A rename would put a file in the place of /dev/null.
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  const std::string temporary = path.native() + random_suffix();
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return errno;
  int error = write_fully(fd.get(), as_bytes(text));
  const int close_error = fd.close();
  if (error == 0) error = close_error;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) static_cast<void>(::unlink(temporary.c_str()));
  return error;
}

int make_private_directories(const std::filesystem::path& path) {
  if (path.empty()) return ENOENT;
  if (::mkdir(path.c_str(), 0700) == 0) return 0;
  int error = errno;
  const std::filesystem::path parent = path.parent_path();
  if (error == ENOENT && !parent.empty() && parent != path) {
    error = make_private_directories(parent);
    if (error == 0 && ::mkdir(path.c_str(), 0700) != 0) error = errno;
  }
  if (error != EEXIST) return error;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno;
  return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
}

}  // namespace jit::inline v1
