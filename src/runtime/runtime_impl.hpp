// Runtime::Impl: the parts of a Runtime, and the story of one call.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "jit/runtime.hpp"
#include "runtime/artifact_source.hpp"
#include "runtime/churn_guard.hpp"
#include "runtime/devices.hpp"
#include "runtime/hit_counter.hpp"
#include "runtime/memory_tier.hpp"
#include "runtime/request_memo.hpp"
#include "runtime/statistics_recorder.hpp"
#include "runtime/template_registry.hpp"

namespace jit::inline v1 {

// One call of get_kernel.
struct KernelRequest {
  std::string_view name;
  std::span<const Constant> constants;
  const Sizes& sizes;
  const KernelOptions& options;
};

// Hidden, although Runtime itself is exported: nobody links to its parts.
class __attribute__((visibility("hidden"))) Runtime::Impl {
 public:
  explicit Impl(RuntimeOptions options);
  ~Impl();

  Kernel get(const KernelRequest& request);
  std::optional<Kernel> try_get(const KernelRequest& request);
  void prefetch(const KernelRequest& request);
  PrecompileReport precompile(const Signature& signature, Arch arch, Debug debug);
  // The same; nullopt, at once, where another process is at it.
  std::optional<PrecompileReport> try_precompile(const Signature& signature, Arch arch,
                                                 Debug debug);

  const RuntimeOptions& options() const noexcept { return options_; }
  TemplateRegistry& templates() noexcept { return templates_; }
  ArtifactSource& source() noexcept { return source_; }
  Devices& devices() noexcept { return devices_; }
  Stats stats() const;
  // The same by the names that statistics on disk have.
  Counts counts() const;

 private:
  // The kernel if it is in memory; takes no lock, allocates nothing, never waits.
  detail::LoadedKernel* find_in_memory(const KernelRequest& request);
  static MemoRequest memo_request(const KernelRequest& request);
  // Resolves the request and remembers its spelling. What is announced is no churn.
  // Errors: those of a bad request, and kUnstableSignature.
  enum class Asked : std::uint8_t { kNow, kAhead };
  SignatureSlot& slot_of(const KernelRequest& request, Asked asked = Asked::kNow);

  Kernel get_slowly(const KernelRequest& request);
  // The story: from a claimed signature to a kernel that everybody has.
  // Returns: nullopt, the claim as it was, if another process is at it and `patience` is kAsk.
  enum class Patience : std::uint8_t { kWait, kAsk };
  std::optional<Kernel> build(MemoryTier::Claim& claim, SignatureSlot& slot, std::size_t capability,
                              Patience patience);
  // One prefetch on its way.
  struct Prefetch {
    std::shared_ptr<MemoryTier::Claim> claim;
    SignatureSlot* slot;
    std::size_t capability;
    CudaContext context;  // the caller's; it outlives the prefetch
    KernelOptions options;
    std::chrono::steady_clock::time_point deadline;  // of waiting for other processes
  };
  void advance(const Prefetch& job);
  // The primary context of the device asked for by ordinal, where another one is current: a kernel
  // is loaded and made ready on its own device. Null where nothing needs to change.
  std::unique_ptr<ContextScope> scope_of(const KernelOptions& options);
  Arch arch_for(const Signature& signature, std::size_t capability);
  std::unique_ptr<detail::LoadedKernel> load(const Unit& unit, const Artifact& artifact);
  // An entry that the driver takes; one that it refuses because its bytes are broken is a miss.
  // `miss`, if empty, gets the name of a miss.
  std::unique_ptr<detail::LoadedKernel> find_and_load(const Unit& unit, std::string_view& miss);
  // The same for any architecture that serves, if `unit` cannot be compiled here.
  std::unique_ptr<detail::LoadedKernel> find_made_elsewhere(const Unit& unit, Debug debug,
                                                            std::size_t capability,
                                                            std::string_view& miss);
  // Errors: those of a miss that the mode forbids to compile, or that no driver here could load.
  void require_compilable(const Unit& unit, std::string_view miss);
  std::optional<PrecompileReport> precompile(const Signature& signature, Arch arch, Debug debug,
                                             Patience patience);
  // Errors: those of a miss that may not be compiled, or not be kept.
  void require_keepable(const Unit& unit, std::string_view miss);
  LoadResult try_load(const Unit& unit, const Artifact& artifact);
  Kernel ready(detail::LoadedKernel& kernel, const KernelOptions& options);

  RuntimeOptions options_;
  Logger logger_;
  TemplateRegistry templates_;
  Devices devices_;  // before the kernels, which call its driver when they end
  MemoryTier memory_;
  RequestMemo memo_;
  ChurnGuard churn_;
  ArtifactSource source_;
  HitCounter hits_;
  std::atomic<std::uint64_t> kernels_loaded_{0};
  std::atomic<std::uint64_t> bytes_loaded_{0};
  StatisticsRecorder recorder_;
  Worker background_;  // of prefetches, apart from the compiler's; last: it uses all the others
};

}  // namespace jit::inline v1
