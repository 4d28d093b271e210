// What the GPU tests share: the driver, folders, runtimes, log lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "jit/runtime.hpp"
#include "load/device_memory.hpp"
#include "load/driver.hpp"

namespace jit::test {

// The driver, initialised, with a context current on the calling thread. CUBINET_DRIVER may name
// another library than libcuda.so.1.
// Errors: throws what the driver says where there is no GPU, so that the test fails with it.
Driver& driver();

// A folder of one's own, removed when it goes.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// Collects the library's log lines. Threads: any.
class Lines {
 public:
  LogSink sink();
  std::string text() const;  // all lines so far
  bool contain(std::string_view part) const { return text().find(part) != std::string::npos; }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

// Options with the compiler and driver that the environment names, and this cache.
RuntimeOptions options_for(const std::filesystem::path& cache_dir);
RuntimeOptions options_for(const std::filesystem::path& cache_dir, Lines& lines);

// The seed of this run's random inputs; Catch2 prints it and --rng-seed sets it.
std::uint64_t run_seed();

// All entries (*.cubinet) below a cache's folder, by path; quarantined ones left out.
std::vector<std::filesystem::path> entries_in(const std::filesystem::path& cache_dir);
std::vector<std::byte> read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, const std::vector<std::byte>& bytes);

// True if a library whose name contains `part` is mapped into this process.
bool is_mapped(std::string_view part);

}  // namespace jit::test
