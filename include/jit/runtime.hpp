// Runtime: templates, compiler, cache and loaded kernels of one process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"
#include "jit/kernel.hpp"
#include "jit/kernel_spec.hpp"
#include "jit/options.hpp"
#include "jit/recording.hpp"
#include "jit/stats.hpp"
#include "jit/tuning.hpp"
#include "jit/value.hpp"
#include "jit/warm_up.hpp"

namespace jit::inline v1 {

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
  //         kNoCompiler, kCompileFailed, kFrozenMiss, kNoDriver, kDriver; kUnstableSignature
  //         where options().churn is kError.
  //         Never for a damaged entry or a failing disk: those are misses, counted in stats().
  Kernel get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                    const Sizes& sizes = {}, const KernelOptions& options = {});
  Kernel get_kernel(std::string_view name, std::span<const Constant> constants,
                    const Sizes& sizes = {}, const KernelOptions& options = {});

  // The same, but returns at once: the kernel if it is in memory; else nothing, and it is started
  // in the background: from disk, from a pack or by the compiler, ready in the calling context.
  // Later calls find it, or throw why it failed: each of them, without trying again for a minute;
  // get_kernel tries at once. Which entries there are on disk is not asked on the caller's thread,
  // so in frozen mode the first call returns nothing as well, and the next ones throw kFrozenMiss.
  // A failure is logged when it happens.
  // Requires: the calling context outlives the work.
  // Cost: as get_kernel in memory; else microseconds. The first call of a Runtime finds the driver,
  // the first of a template on the template path reads it, the first that leaves a tunable open
  // reads the tuning records, and the first that starts something starts a thread. Nothing is tuned
  // for it, see Tuning::kOnMiss.
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

  // Starts getting all of them in the background, in this order, ready in the calling context. A
  // kernel that fails is logged and in the report, and keeps no other from being made.
  // Returns: a future that is ready when all of them are. It never holds an exception, and its
  // destructor does not wait. Kernels that were not done when the Runtime ended, or that a child of
  // fork() sees the parent at work on, are in the report with kShuttingDown.
  // Errors: those of a bad request, at once; then nothing is started.
  std::future<WarmUpReport> prefetch(std::span<const KernelSpec> kernels);

  // Makes all of them ready in the calling context and returns when they are. What nobody has made
  // is compiled here, except what another process is compiling: that is passed over and loaded when
  // it is there. Processes that warm up together start at different places of the list, so that
  // together they compile each kernel once. What is on disk is loaded while others are compiled.
  // Returns: a report; kernels that failed are in it, the others are ready.
  // Errors: those of a bad request, before anything is started; what `progress` throws.
  WarmUpReport warm_up(std::span<const KernelSpec> kernels, const WarmUpOptions& options = {});
  // The same for what processes before this one asked for, with today's templates. A request that
  // they do not know is in the report.
  WarmUpReport warm_up(const Recording& recording, const WarmUpOptions& options = {});

  // Puts the kernel for `arch` ("sm_90a") into the cache; needs neither driver nor GPU. Where
  // tuning records choose one for each of several devices of that architecture, all of them; the
  // report is of the first. Errors: as get_kernel, less the driver's; kIo if it could not be
  // published.
  PrecompileReport precompile(std::string_view name, std::initializer_list<Constant> constants,
                              const Sizes& sizes, std::string_view arch,
                              Debug debug = Debug::kNone);
  PrecompileReport precompile(std::string_view name, std::span<const Constant> constants,
                              const Sizes& sizes, std::string_view arch,
                              Debug debug = Debug::kNone);

  // Measures the variants of a template for these shape constants on a GPU and keeps what won, one
  // record per combination of bucket steps; see jit/tuning.hpp. Variants are compiled here, one
  // after the other, unless they are in the cache: `cubinet tune` does that in many processes.
  // Takes up to options.budget and the compiles, on a stream of its own; the GPU should have
  // nothing else to do. Errors: kInvalidArgument for a tunable among the constants, a template
  // without representative
  //         sizes or without a tuning problem (set_tuning_problem); those of get_kernel where no
  //         variant is left; kNoDriver, kDriver. Records are kept one by one:
  //         an error in one step loses none before it.
  std::vector<TuningRecord> tune(std::string_view name, std::span<const Constant> constants,
                                 const TuneOptions& options = {});

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
JIT_EXPORT std::future<WarmUpReport> prefetch(std::span<const KernelSpec> kernels);

}  // namespace jit::inline v1
