#include "runtime/trace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

#include "base/file.hpp"
#include "runtime/quiet_thread.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kFullBytes = std::size_t{64} << 10;
// Behind a disk that hangs, events are dropped.
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::chrono::milliseconds kSoon{200};
constexpr std::size_t kMaxNamed = 4096;
// Far more than the beginning of a file takes; a process that is stopped may keep the lock.
constexpr int kLockAttempts = 100;
constexpr std::chrono::milliseconds kLockPause{1};

std::filesystem::path with_pid(const std::filesystem::path& file) {
  std::string name = file.native();
  const std::string pid = std::to_string(::getpid());
  for (std::size_t at = 0; (at = name.find("%p", at)) != std::string::npos; at += pid.size()) {
    name.replace(at, 2, pid);
  }
  return name;
}

// Where it is now: the program may change its directory. Empty stays empty.
std::filesystem::path absolute_path(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(file, error);
  return file.empty() || error ? file : whole;
}

double microseconds(SpanSink::Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::string first_line(const std::string& path) {
  const auto text = read_file(path);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

bool lock_soon(int fd) {
  for (int i = 0; i < kLockAttempts; ++i) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    std::this_thread::sleep_for(kLockPause);
  }
  return false;
}

// Whoever comes first begins the array; the others wait until it is begun. Returns: 0, or errno.
int begin_array(int fd) {
  struct stat status {};
  const bool locked = lock_soon(fd);
  int error = ::fstat(fd, &status) == 0 ? 0 : errno;
  if (error == 0 && status.st_size == 0 && ::write(fd, "[\n", 2) != 2) {
    error = errno == 0 ? EIO : errno;
  }
  if (locked) static_cast<void>(::flock(fd, LOCK_UN));
  return error;
}

// Writes all of it, or nothing that stays where nobody else has written since. Returns: errno.
int append_whole(int fd, std::string_view text) noexcept {
  rlimit limit{};
  struct stat before {};
  if (::fstat(fd, &before) != 0) return errno;
  const auto end = static_cast<std::uint64_t>(before.st_size) + text.size();
  // Beyond this limit the system would not only refuse but raise SIGXFSZ, which kills.
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && end > limit.rlim_cur) return EFBIG;
  std::size_t done = 0;
  int error = 0;
  while (error == 0 && done < text.size()) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count > 0) done += static_cast<std::size_t>(count);
    else if (count == 0) error = EIO;
    else if (errno != EINTR) error = errno;
  }
  struct stat after {};
  if (error != 0 && done != 0 && ::fstat(fd, &after) == 0 &&
      after.st_size == before.st_size + static_cast<off_t>(done)) {
    static_cast<void>(::ftruncate(fd, before.st_size));
  }
  return error;
}

}  // namespace

Trace::Trace(const std::filesystem::path& file, Logger logger)
    : file_(absolute_path(file)),
      logger_(std::move(logger)),
      enabled_(!file_.empty()),
      wake_(enabled_ ? new std::condition_variable : nullptr) {
  if (enabled_) join();
}

Trace::~Trace() {
  if (!enabled_) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_->notify_all();
  if (thread_ != nullptr) {
    thread_->join();
    delete std::exchange(thread_, nullptr);
  }
  write();
  leave();
  delete wake_;
}

void Trace::add(std::string_view name, Clock::time_point begin, Clock::time_point end,
                std::string_view args) noexcept {
  try {
    const pid_t thread = ::gettid();
    std::string event = fmt::format(
        R"({{"name":"{}","cat":"cubinet","ph":"X","ts":{:.3f},"dur":{:.3f},"pid":{},"tid":{},)"
        R"("args":{{{}}}}},)"
        "\n",
        name, microseconds(begin.time_since_epoch()), microseconds(end - begin), ::getpid(), thread,
        args);
    const std::lock_guard lock(mutex_);
    if (broken_ || stopping_) return;
    if (buffer_.size() + event.size() > kMaxBytes) {
      ++dropped_;
      return;
    }
    if (named_.size() < kMaxNamed && named_.insert(thread).second) add_names(thread);
    buffer_ += event;
    wake_writer();
  } catch (const std::exception&) {
    return;  // out of memory or threads: a span is missing
  }
}

// What Perfetto calls the process and the thread.
void Trace::add_names(pid_t thread) {
  const auto add = [&](std::string_view what, const std::string& name) {
    buffer_ += fmt::format(R"({{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}},)"
                           "\n",
                           what, ::getpid(), thread, json_escaped(name));
  };
  if (named_.size() == 1) add("process_name", first_line("/proc/self/comm"));
  add("thread_name", first_line(fmt::format("/proc/self/task/{}/comm", thread)));
}

void Trace::wake_writer() {
  if (thread_ == nullptr) thread_ = new std::thread(make_quiet_thread([this] { loop(); }));
  wake_->notify_all();
}

void Trace::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !broken_) {
    wake_->wait(lock, [this] { return stopping_ || !buffer_.empty(); });
    // What comes together is written together.
    wake_->wait_for(lock, kSoon, [this] { return stopping_ || buffer_.size() >= kFullBytes; });
    if (stopping_) break;  // the destructor writes
    lock.unlock();
    write();
    lock.lock();
  }
}

void Trace::write() noexcept {
  if (!enabled_) return;
  std::string why;
  std::uint64_t dropped = 0;
  {
    const std::lock_guard writing(writing_);
    why = drain(dropped);
  }
  // Not under the lock: the sink is the user's, and may wait for a thread that forks.
  try {
    if (dropped != 0) {
      logger_.warn_once("trace dropped", fmt::format("write trace {}: {} events came faster than "
                                                     "they could be written; use a faster disk",
                                                     file_.native(), dropped));
    }
    if (why.empty()) return;
    logger_.warning(
        fmt::format("write trace {}: {}; there is no trace from here on", file_.native(), why));
  } catch (const std::exception&) {
    return;  // out of memory
  }
}

std::string Trace::drain(std::uint64_t& dropped) noexcept {
  try {
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      if (broken_) return {};
      text.swap(buffer_);
      dropped = std::exchange(dropped_, 0);
    }
    if (text.empty()) return {};
    std::string why = append(text);
    if (!why.empty()) give_up();
    return why;
  } catch (const std::exception&) {
    give_up();
    return "no memory";  // short enough to need none
  }
}

std::string Trace::append(std::string_view text) {
  if (!fd_) {
    if (std::string why = open(); !why.empty()) return why;
  }
  const int error = append_whole(fd_.get(), text);
  return error == 0 ? std::string() : error_text(error);
}

std::string Trace::open() {
  constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK;
  fd_.reset(::open(with_pid(file_).c_str(), kFlags, 0644));
  if (!fd_) return error_text(errno);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode)) return "it is no plain file";
  if (const int error = begin_array(fd_.get()); error != 0) return error_text(error);
  char first = 0;
  if (::pread(fd_.get(), &first, 1, 0) == 1 && first == '[') return {};
  return "it is there and is no trace; remove it, or name another";
}

void Trace::give_up() noexcept {
  const std::lock_guard lock(mutex_);
  broken_ = true;
  buffer_.clear();
  fd_.reset();
}

void Trace::before_fork() noexcept {
  writing_.lock();
  mutex_.lock();
}

void Trace::after_fork(bool in_child) noexcept {
  if (in_child) {
    thread_ = nullptr;
    buffer_.clear();
    named_.clear();
    dropped_ = 0;
    fd_.reset();
    wake_ = new std::condition_variable;
  }
  mutex_.unlock();
  writing_.unlock();
}

void Trace::at_exit() noexcept { write(); }

}  // namespace jit::inline v1
