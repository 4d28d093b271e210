// Runtime::Impl: the parts of a Runtime, and the story of one call.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "jit/recording.hpp"
#include "jit/runtime.hpp"
#include "load/tensor_map_cache.hpp"
#include "runtime/artifact_source.hpp"
#include "runtime/churn_guard.hpp"
#include "runtime/devices.hpp"
#include "runtime/hit_counter.hpp"
#include "runtime/memory_tier.hpp"
#include "runtime/pursuit.hpp"
#include "runtime/request_groups.hpp"
#include "runtime/request_memo.hpp"
#include "runtime/request_recorder.hpp"
#include "runtime/statistics_recorder.hpp"
#include "runtime/template_registry.hpp"
#include "runtime/trace.hpp"
#include "runtime/tuner.hpp"
#include "runtime/tuning_store.hpp"
#include "runtime/tuning_turns.hpp"

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
  std::future<WarmUpReport> prefetch(std::span<const KernelSpec> kernels);
  WarmUpReport warm_up(std::span<const KernelSpec> kernels, const WarmUpOptions& options);
  WarmUpReport warm_up(const Recording& recording, const WarmUpOptions& options);
  PrecompileReport precompile(const Signature& signature, Arch arch, Debug debug);
  // The same; nullopt, at once, where another process is at it.
  std::optional<PrecompileReport> try_precompile(const Signature& signature, Arch arch,
                                                 Debug debug);
  // See Runtime::tune.
  std::vector<TuningRecord> tune(const TuningJob& job);

  const RuntimeOptions& options() const noexcept { return options_; }
  TemplateRegistry& templates() noexcept { return templates_; }
  ArtifactSource& source() noexcept { return source_; }
  Devices& devices() noexcept { return devices_; }
  TensorMapCache& tensor_maps() noexcept { return tensor_maps_; }
  TuningStore& tuning() noexcept { return tuning_; }
  // What requests with these constants resolve to on GPUs that code for `arch` is made for: on
  // `device`, or, where none is given, on any, with a tuning record or without; in these bucket
  // steps, or in all. Distinct; at least one. Errors: those of resolve().
  struct SignaturesFor {
    Arch arch;
    std::optional<DeviceModel> device{};
    std::optional<BucketSteps> steps{};
  };
  std::vector<Signature> signatures(const table::Template& tmpl,
                                    std::span<const Constant> constants,
                                    const SignaturesFor& wanted);
  Stats stats() const;
  // The same by the names that statistics on disk have.
  Counts counts() const;

 private:
  friend class RuntimeCandidates;  // a tuner's way to compile and load

  // The kernel if it is in memory, and the request's group; takes no lock, allocates nothing, never
  // waits.
  struct InMemory {
    detail::LoadedKernel* kernel = nullptr;
    std::uint32_t group = 0;
  };
  InMemory find_in_memory(const KernelRequest& request);
  // Of a request that slot_of() has resolved. Requires: devices_.ready().
  std::uint32_t group_of(const KernelRequest& request) { return find_in_memo(request).group; }
  // Requires: devices_.ready(). Errors: those of Devices::model_index.
  RequestMemo::Found find_in_memo(const KernelRequest& request);
  // Index of the model of the GPU that the request is for; nullopt where none is to be had, which
  // whoever needs it is told.
  std::optional<std::size_t> model_of(const KernelOptions& options);
  // Likewise of its capability. Errors: kNoDriver; those of Devices::model_index.
  std::size_t capability_of(const KernelOptions& options);
  // Resolves the request, records it and remembers its spelling. What is announced is no churn.
  // Errors: those of a bad request, and kUnstableSignature.
  // Only one who waits anyway may be made to wait for a tuning.
  enum class Asked : std::uint8_t { kNow, kNowWithoutWait, kAhead };
  SignatureSlot& slot_of(const KernelRequest& request, Asked asked = Asked::kNow);

  // The signature of a request that resolves to `plain` without tuning records: with them.
  struct TunedRequest {
    Signature plain;
    std::span<const Constant> constants;
    const BucketSteps& steps;
    std::size_t model = 0;
    Debug debug = Debug::kNone;
    // Set for one who may wait for a tuning, where the options ask for it: for which device.
    std::optional<int> tune_on{};
  };
  // What a record chose and does not compile is passed over, with one warning.
  Signature with_records(TunedRequest request);
  // Measures what the subject has no record of, see Tuning::kOnMiss. Never fails: who asked goes on
  // with what there is.
  void tune_on_miss(const TuningSubject& subject, int device);
  void tune_in_turn(const TuningSubject& subject, int device, Span& span);
  bool has_own_record(const TuningSubject& subject);
  TuningTarget target_of(const table::Template& tmpl, std::size_t model);
  // Of the compiler at hand; nullopt: there is none.
  std::optional<CompilerRelease> compiler_release();

  MemoryTier::Claim claim_in_memory(SignatureSlot& slot, std::size_t capability);
  Kernel get_slowly(const KernelRequest& request);
  Kernel get_of(SignatureSlot& slot, const KernelRequest& request);
  // Whether another process that makes the kernel is waited for, and how long it was already.
  struct Patience {
    bool waits = true;
    std::chrono::milliseconds passed{0};
  };
  // The story: from a claimed signature to a kernel that everybody has.
  // Returns: kFound or kCompiled; nullopt, the claim as it was, if another process is at it and is
  // not waited for.
  std::optional<WarmUpOutcome> build(MemoryTier::Claim& claim, SignatureSlot& slot,
                                     std::size_t capability, Patience patience);
  // Of the exception at hand: whether the slot's signature does not compile.
  static void note_refusal(SignatureSlot& slot, std::size_t capability);
  // Returns: whether there was a kernel to serve.
  static bool serve(MemoryTier::Claim& claim, std::unique_ptr<detail::LoadedKernel> kernel);

  // A kernel that nobody waits for, as it is asked for here and now.
  Pursuit pursuit_of(SignatureSlot& slot, const KernelOptions& options);
  std::vector<Pursuit> pursuits_of(std::span<const KernelSpec> kernels);
  WarmUpReport warm_up(std::vector<Pursuit> pursuits, const WarmUpOptions& options);
  // The steps of a Pursuit, on its threads.
  StepResult look_for(Pursuit& pursuit);
  StepResult make(Pursuit& pursuit);
  // How long it has waited for another process; whether it has to wait on; and the end of it.
  static std::chrono::milliseconds waited(const Pursuit& pursuit);
  bool is_made_elsewhere(const Pursuit& pursuit);
  void count_waited(const Pursuit& pursuit, std::chrono::milliseconds passed);
  std::unique_ptr<ContextScope> context_of(const Pursuit& pursuit);
  // The primary context of the device asked for by ordinal, where another one is current: a kernel
  // is loaded and made ready on its own device. Null where nothing needs to change.
  std::unique_ptr<ContextScope> scope_of(const KernelOptions& options);
  // make_unit, as a span.
  Unit render(const Signature& signature, Arch arch, Debug debug);
  Arch arch_for(const Signature& signature, std::size_t capability);
  Arch arch_for(const Signature& signature, ComputeCapability gpu);
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
  // Appends the record to the cache's. That it cannot be is a warning.
  void keep(const TuningRecord& record);

  RuntimeOptions options_;
  Logger logger_;
  Trace trace_;  // before all that work, which may end a span last
  TemplateRegistry templates_;
  Devices devices_;  // before the kernels, which call its driver when they end
  TensorMapCache tensor_maps_;
  MemoryTier memory_;
  RequestMemo memo_;
  ChurnGuard churn_;
  RequestGroups groups_;
  RequestRecorder requests_;
  // It uses all the others, and is stopped before they end. Here, because a fork waits for the
  // compiler, which is younger, before it keeps anybody from asking.
  Pursuits pursuits_;
  ArtifactSource source_;
  TuningStore tuning_;
  TuningTurns tuning_turns_;
  HitCounter hits_;
  std::atomic<std::uint64_t> kernels_loaded_{0};
  std::atomic<std::uint64_t> bytes_loaded_{0};
  StatisticsRecorder recorder_;
};

}  // namespace jit::inline v1
