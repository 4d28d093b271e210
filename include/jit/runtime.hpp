// Runtime: templates, compiler, cache and loaded kernels of one process.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"
#include "jit/kernel.hpp"
#include "jit/log.hpp"
#include "jit/value.hpp"

namespace jit::inline v1 {

// What a miss in the cache does.
enum class Mode : std::uint8_t {
  kAuto,      // compile it and publish it
  kReadOnly,  // compile it, write nothing to disk
  kFrozen,    // an error that names the signature, the nearest entry and the command to add it
};

// Which compiler's output may answer for the compiler at hand.
enum class ToolchainPolicy : std::uint8_t {
  kExact,    // the very same build of NVRTC; any release where no NVRTC is installed
  kRelease,  // the same major.minor release
  kAny,      // whatever the driver can load
};

// Line tables or full debug information in the cubin; a kernel with other debug information is
// another entry in the cache.
enum class Debug : std::uint8_t { kNone, kLineInfo, kFull };

// KernelOptions are rarely needed per-call options of get_kernel.
struct KernelOptions {
  int device = -1;  // ordinal; -1 is the current context's device
  Debug debug = Debug::kNone;
};

// RuntimeOptions configure a Runtime of one's own. The process-wide default takes the same from
// CUBINET_* variables, read once at its first use; a Runtime made from plain RuntimeOptions{} reads
// no CUBINET_* variable.
struct RuntimeOptions {
  // Directory of cached kernels (CUBINET_CACHE_DIR). Empty: $XDG_CACHE_HOME/cubinet, else
  // ~/.cache/cubinet, else /tmp/cubinet-<uid>. Created with mode 0700.
  std::filesystem::path cache_dir;
  // Keep kernels in memory only; touch no disk (CUBINET_CACHE_DIR=none).
  bool memory_only = false;
  Mode mode = Mode::kAuto;                                     // CUBINET_MODE
  ToolchainPolicy toolchain_policy = ToolchainPolicy::kExact;  // CUBINET_TOOLCHAIN
  // Directory trusted although its group may write to it (CUBINET_TRUST=group).
  bool trust_group = false;
  // Directories whose templates override shipped ones (CUBINET_TEMPLATE_PATH, ':'-separated).
  std::vector<std::filesystem::path> template_path;
  // libnvrtc or a directory that holds it (CUBINET_NVRTC). Empty: search.
  std::filesystem::path nvrtc;
  // libcuda (CUBINET_DRIVER). Empty: libcuda.so.1.
  std::filesystem::path driver;
  // Where toolkit headers that a template lists are found (CUDA_HOME). Empty: search.
  std::filesystem::path cuda_home;
  // Where reproductions of failed compiles are kept (CUBINET_FAILED_DIR). Empty:
  // <cache_dir>/failed; none where the Runtime writes nothing.
  std::filesystem::path reproduction_dir;
  // Longest wait for another process that compiles the same kernel; then this one compiles too
  // (CUBINET_LOCK_TIMEOUT_MS). More than a year is a year.
  std::chrono::milliseconds lock_timeout{30'000};
  // What the cache directory may take on disk (CUBINET_CACHE_MAX_SIZE); UINT64_MAX: as much as
  // there is. Entries used longest ago are removed in the background when a publish makes it more.
  std::uint64_t max_cache_bytes = std::uint64_t{4} << 30;
  // Free space that the cache leaves to others (CUBINET_CACHE_MIN_FREE). Unset: 256 MiB, but at
  // most a twentieth of the file system. A kernel that finds no room is served and not kept.
  std::optional<std::uint64_t> min_free_bytes;
  // Receives the library's lines; empty: stderr. Lines below the level are not made at all
  // (CUBINET_LOG=debug, info, warning, error or off).
  LogSink log_sink;
  LogLevel log_level = LogLevel::kWarning;

  // The options that CUBINET_* variables describe.
  // Errors: kInvalidArgument names the variable, its value and what was expected.
  JIT_EXPORT static RuntimeOptions from_environment();
};

// A number and what it counts.
struct NamedCount {
  std::string_view name;
  std::uint64_t count = 0;
};

// Stats count what a Runtime did; each number only grows. `cubinet cache stats` adds them up over
// all processes that used a cache directory.
//
// A request ends as a hit in memory, a hit on disk or a miss, or as an error that came before it
// was looked up.
struct Stats {
  // Served from memory, or by another caller's work on the same kernel. What a CallSite serves is
  // not counted.
  std::uint64_t memory_hits = 0;
  std::uint64_t memory_kernels = 0;  // loaded so far; they stay loaded
  std::uint64_t memory_bytes = 0;    // of their cubins
  std::uint64_t disk_hits = 0;
  std::uint64_t misses = 0;  // not in memory and not on disk
  // Why, each name once, also those that did not happen: absent, other_toolchain,
  // newer_than_driver, damaged, unreadable, refused, forbidden. A miss of a Runtime that keeps
  // kernels in memory only has no name.
  std::vector<NamedCount> named_misses;
  std::uint64_t compiles = 0;  // compiler runs that succeeded
  std::uint64_t compile_failures = 0;
  std::uint64_t compile_us = 0;  // Units: microseconds, of the compiles
  std::uint64_t saved_us = 0;    // Units: microseconds, that hits on disk once took to compile
  std::uint64_t published = 0;
  std::uint64_t publish_failures = 0;  // disk full, read-only, ...: the kernel was served
  std::uint64_t quarantined = 0;       // damaged entries moved aside
  std::uint64_t lock_waits = 0;        // waits for another process
  std::uint64_t lock_timeouts = 0;
  std::uint64_t evicted = 0;  // entries removed to keep the cache within its bounds
  std::uint64_t evicted_bytes = 0;
};

// What precompile did for one kernel.
struct PrecompileReport {
  std::string name;
  std::string signature;
  std::string arch;
  std::string key;        // 64 hex digits
  std::string toolchain;  // the build of NVRTC that made it: "nvrtc-13.0-1f3a9c0d"
  bool hit = false;
  double compile_ms = 0;  // of the compile that made it, also on a hit
  std::uint32_t registers = 0;
  std::uint32_t smem_bytes = 0;
  std::uint32_t spill_bytes = 0;
  std::size_t cubin_bytes = 0;
};

// Runtime finds, compiles, caches and loads kernels.
//
// Threads: every member may be called from any thread. A caller of one signature waits for the
// first caller of the same signature, and for his turn at the compiler: a process compiles one
// kernel at a time. Errors: nothing but jit::Error leaves any member.
// Fork: a child may go on using the Runtime for cache and compiler; CUDA itself does not survive
// fork() once initialised.
class JIT_EXPORT Runtime {
 public:
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;  // kernels point into it
  Runtime& operator=(const Runtime&) = delete;

  // The process-wide Runtime behind jit::get_kernel; made from the environment at its first use and
  // never destroyed. Errors: kInvalidArgument for a CUBINET_* variable that cannot be right.
  static Runtime& shared();

  // Returns the loaded kernel of this template for these constants, building it at most once per
  // machine: memory, then disk, and only then the compiler.
  //
  // `constants` gives every shape constant without a default; tunables may be given to pin them.
  // `sizes` steer tunables through the template's declared buckets and are never keyed.
  // Returns: a Kernel ready in the calling context. Cost: under 50 ns when in memory; no lock, no
  // allocation. Under 100 us plus the driver's load when on disk. Else one NVRTC compile.
  // Errors: kUnknownTemplate, kInvalidArgument (a constant that is unknown, out of its domain, of
  //         the wrong type, missing, or declared run-time), kInvalidTemplate, kUnsupportedArch,
  //         kNoCompiler, kCompileFailed, kFrozenMiss, kNoDriver, kDriver.
  //         Never for a damaged entry or a failing disk: those are misses, counted in stats().
  Kernel get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                    const Sizes& sizes = {}, const KernelOptions& options = {});
  Kernel get_kernel(std::string_view name, std::span<const Constant> constants,
                    const Sizes& sizes = {}, const KernelOptions& options = {});

  // The same, but never waits for a compiler or for another caller: nullopt unless the kernel is
  // in memory or on disk. Nothing is started; see prefetch.
  std::optional<Kernel> try_get_kernel(std::string_view name,
                                       std::initializer_list<Constant> constants,
                                       const Sizes& sizes = {}, const KernelOptions& options = {});
  std::optional<Kernel> try_get_kernel(std::string_view name, std::span<const Constant> constants,
                                       const Sizes& sizes = {}, const KernelOptions& options = {});

  // Starts getting the kernel in the background and returns at once. A failure is logged and met
  // again by the next get_kernel. Errors: those of a bad request, at once.
  // Requires: the calling context outlives the prefetch.
  void prefetch(std::string_view name, std::initializer_list<Constant> constants,
                const Sizes& sizes = {}, const KernelOptions& options = {});
  void prefetch(std::string_view name, std::span<const Constant> constants, const Sizes& sizes = {},
                const KernelOptions& options = {});

  // Puts the kernel for `arch` ("sm_90a") into the cache; needs neither driver nor GPU.
  // Errors: as get_kernel, less the driver's; kIo if it could not be published.
  PrecompileReport precompile(std::string_view name, std::initializer_list<Constant> constants,
                              const Sizes& sizes, std::string_view arch,
                              Debug debug = Debug::kNone);
  PrecompileReport precompile(std::string_view name, std::span<const Constant> constants,
                              const Sizes& sizes, std::string_view arch,
                              Debug debug = Debug::kNone);

  // Adds the templates below `directory` (one folder each, with a manifest.json); they hide shipped
  // ones of the same name. Errors: kInvalidTemplate, with file and JSON pointer; kIo; and
  // kInvalidArgument for a template that this Runtime has already served a kernel of.
  void add_templates(const std::filesystem::path& directory);

  Stats stats() const;
  const RuntimeOptions& options() const noexcept;

  class Impl;
  Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// get_kernel on the process-wide Runtime.
JIT_EXPORT Kernel get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                             const Sizes& sizes = {}, const KernelOptions& options = {});
JIT_EXPORT Kernel get_kernel(std::string_view name, std::span<const Constant> constants,
                             const Sizes& sizes = {}, const KernelOptions& options = {});
JIT_EXPORT std::optional<Kernel> try_get_kernel(std::string_view name,
                                                std::initializer_list<Constant> constants,
                                                const Sizes& sizes = {},
                                                const KernelOptions& options = {});
JIT_EXPORT std::optional<Kernel> try_get_kernel(std::string_view name,
                                                std::span<const Constant> constants,
                                                const Sizes& sizes = {},
                                                const KernelOptions& options = {});
JIT_EXPORT void prefetch(std::string_view name, std::initializer_list<Constant> constants,
                         const Sizes& sizes = {}, const KernelOptions& options = {});
JIT_EXPORT void prefetch(std::string_view name, std::span<const Constant> constants,
                         const Sizes& sizes = {}, const KernelOptions& options = {});

}  // namespace jit::inline v1
