// Machine: what this process may use of the machine it runs on: cores and memory, as affinity and
// control groups (v2, and v1 where it is what there is) allow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace jit::inline v1 {

// Every call reads anew. What cannot be read bounds nothing. Threads: any.
class Machine {
 public:
  // `root` stands for "/": /proc and /sys/fs/cgroup are looked for below it.
  explicit Machine(std::filesystem::path root = "/") : root_(std::move(root)) {}

  // Cores that this process may keep busy: those of its affinity, at most the quota of its control
  // group, rounded up. At least 1.
  std::size_t cores() const;

  // Bytes that can be had without pushing anybody out: what the kernel calls available, at most
  // what the control groups leave. nullopt if neither says.
  std::optional<std::uint64_t> free_memory() const;

  // How often the kernel killed for lack of memory, in this control group or else on this machine.
  // Only its change says something.
  std::uint64_t oom_kills() const;

 private:
  // The folders of this process's group in the hierarchy of `controller`, up to the root of what
  // is seen of it.
  std::vector<std::filesystem::path> groups_v1(const std::string& controller) const;
  std::vector<std::filesystem::path> groups_v2() const;
  std::vector<std::filesystem::path> groups(const std::string& controller,
                                            const std::filesystem::path& mount) const;

  std::filesystem::path root_;
};

// What a worker may need. Measured at 96 MiB, of which 73 are NVRTC's own pages that all share,
// with NVRTC 13.0 and the shipped templates; kernels that take NVRTC seconds need some hundred.
inline constexpr std::uint64_t kMemoryPerWorker = std::uint64_t{512} << 20;

// How many workers a farm gets.
struct FarmWish {
  std::size_t jobs = 0;                 // workers wanted; 0: one per core
  std::optional<std::uint64_t> memory;  // for all of them; else what is free
  std::uint64_t memory_per_worker = kMemoryPerWorker;
};

struct FarmSize {
  std::size_t workers = 1;
  std::string note;  // where memory bounds it: one line; else empty
};
FarmSize size_of_farm(const FarmWish& wish, const Machine& machine);

}  // namespace jit::inline v1
