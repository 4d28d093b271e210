// What the tests of the cache share: folders, entries, child processes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "cache/directory.hpp"
#include "cache/entry.hpp"

// How much less work a sanitized build does per second.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JIT_TEST_SANITIZED 1
#else
#define JIT_TEST_SANITIZED 0
#endif

namespace jit::test {

// A private folder, removed when it goes. In memory (/dev/shm) where there is one: what is tested
// is the order of calls, not the disk.
class Folder {
 public:
  enum class On { kMemory, kDisk };
  explicit Folder(On on = On::kMemory);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder(Folder&&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder& operator=(Folder&&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Collects lines; handed to a Directory as a logger.
class Lines {
 public:
  Logger logger(LogLevel threshold = LogLevel::kWarning);
  std::vector<std::string> take();

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

ToolchainId toolchain(std::uint16_t major = 13, std::uint16_t minor = 0, std::uint8_t build = 7);
UnitKey key_of(std::uint32_t number);
// An entry with every field set; `number` makes its key and its contents.
Entry make_entry(std::uint32_t number, std::size_t cubin_bytes = 300,
                 const ToolchainId& made_by = toolchain());
bool same(const Entry& a, const Entry& b);

// Where the entry lies below a root.
std::filesystem::path path_of(const std::filesystem::path& root, const Entry& entry);
std::vector<std::byte> slurp(const std::filesystem::path& path);
void spill(const std::filesystem::path& path, const std::vector<std::byte>& bytes);
std::size_t files_in(const std::filesystem::path& directory);
std::size_t open_descriptors();

// Forks; the child runs `body` and exits with what it returns, as 0 or 1, running no destructors.
pid_t start(const std::function<bool()>& body);
// True if the child exited with 0. A child killed by a signal is false.
bool succeeded(pid_t child);
void kill_and_reap(pid_t child);

// Runs `body` in a child without root's rights (uid `uid` if we are root). Returns: what it
// returned; true, too, where the rights cannot be dropped.
bool as_ordinary_user(const std::function<bool()>& body, uid_t uid = 65534);

}  // namespace jit::test
