// UniqueFd: the one owner of a file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace jit::inline v1 {

// UniqueFd closes its descriptor when it goes. An error of that close is lost on purpose: whoever
// wrote through the descriptor uses close() below and looks.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  // Gives the descriptor away; the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  // Keeps errno, so that a path of failure may close before it reports.
  void reset(int fd = -1) noexcept;
  // Closes now. Returns: 0, or the errno of close(): on network file systems that is where a
  // failed write shows. The descriptor is gone either way.
  [[nodiscard]] int close() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace jit::inline v1
