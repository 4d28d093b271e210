// LoadedKernel: a cubin in the driver, behind jit::Kernel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "jit/kernel.hpp"
#include "load/driver.hpp"
#include "signature/artifact.hpp"

namespace jit::inline v1 {
namespace detail {

// LoadedKernel holds one kernel for every context: CUlibrary and CUkernel belong to none, and a
// function is materialised per context when that context first needs it, then found without a
// lock. Nothing is unloaded before the LoadedKernel ends; contexts may come and go.
//
// Threads: every member may be called from any thread; none takes a lock, which a child of fork()
// might find held by a thread that it does not have. Work that two begin at once is done twice.
struct LoadedKernel {
 public:
  LoadedKernel(Driver& driver, CudaLibrary library, CudaKernel kernel, KernelInfo info, Arch arch);
  ~LoadedKernel();
  LoadedKernel(const LoadedKernel&) = delete;
  LoadedKernel& operator=(const LoadedKernel&) = delete;

  Kernel view() noexcept { return Kernel(this); }
  const KernelInfo& info() const noexcept { return info_; }
  Arch arch() const noexcept { return arch_; }

  // Makes the kernel ready in the current context of device `ordinal` and completes
  // info().max_threads. For load_kernel, before the kernel is shown to other threads.
  // Returns: the driver's result, and in `call` the call that gave it.
  CudaResult make_ready(int ordinal, const char** call);

  // jit::Kernel's members; see there for contracts.
  void launch(const LaunchConfig& config, const void* params, std::size_t params_bytes);
  // Makes the kernel ready in the current context. Errors: kUnsupportedArch if its device cannot
  // run the kernel (naming both); kDriver.
  void prepare();
  // prepare() if this thread has a current context; else nothing.
  //
  // Asks for the context's address, which is cheaper than its number. An address may come again
  // after its context has ended: then nothing is prepared here, and the launch does it.
  // Cost: one driver call when ready.
  void prepare_if_current() {
    if (process_is_exiting()) return;
    const CudaContext context = driver_.current_context();
    if (context == nullptr) return;
    if (context == ready_context_.load(std::memory_order_relaxed)) return;
    prepare();
    ready_context_.store(context, std::memory_order_relaxed);
  }
  // Whether it was made ready in the primary context of a device, for callers who name devices.
  bool is_prepared_for(int device) const noexcept {
    return device < 64 && (prepared_devices_.load(std::memory_order_relaxed) >> device & 1) != 0;
  }
  void set_prepared_for(int device) noexcept {
    if (device < 64) prepared_devices_.fetch_or(std::uint64_t{1} << device);
  }
  int max_active_blocks(int threads, std::size_t smem_bytes);

 private:
  // What one context has of the kernel. Slots are only ever added, so a reader needs no lock.
  struct Slot {
    std::uint64_t context_id = 0;
    CudaFunction function = nullptr;
    std::uint32_t smem_static = 0;
    std::uint32_t smem_max = 0;                // dynamic bytes the device can give
    std::atomic<std::uint32_t> smem_limit{0};  // dynamic bytes allowed so far
    std::atomic<bool> large_clusters{false};   // more than 8 blocks allowed
    Slot* next = nullptr;
  };

  Slot& slot();  // of the current context; materialises when it is new there
  static Slot* find_slot(Slot* first, std::uint64_t context_id) noexcept;
  Slot& materialise();
  CudaResult make_slot(int ordinal, Slot** made, const char** call);
  void check_launch(const LaunchConfig& config, std::size_t params_bytes) const;
  void allow_smem(Slot& slot, std::uint32_t smem_bytes);
  void allow_large_clusters(Slot& slot);
  CudaResult launch_with_attributes(const Slot& slot, const LaunchConfig& config,
                                    void** arguments) const;
  [[noreturn]] void refuse_launch(const std::string& reason) const;

  Driver& driver_;
  CudaLibrary library_;
  CudaKernel kernel_;
  KernelInfo info_;
  Arch arch_;
  std::atomic<std::uint64_t> prepared_devices_{0};
  std::atomic<CudaContext> ready_context_{nullptr};  // the last that prepare_if_current saw
  std::atomic<Slot*> slots_{nullptr};
};

}  // namespace detail

enum class LoadOutcome : std::uint8_t {
  kLoaded,
  kRefused,      // the driver does not take the image (CUDA 200, 209, 218, 500, ...): look at its
                 // bytes before blaming them
  kTooNew,       // made by a newer CUDA major than the driver's; the image was not tried
  kWrongDevice,  // the current device cannot run this architecture; says nothing of the image
  kFailed,       // anything else: no driver, out of memory, a context in error, process exit
};

// LoadResult is a loaded kernel or a typed refusal.
struct LoadResult {
  LoadOutcome outcome = LoadOutcome::kFailed;
  std::unique_ptr<detail::LoadedKernel> kernel;  // set for kLoaded alone
  int cuda_error = 0;                            // 209; 0 if it was no driver call
  ErrorCode code = ErrorCode::kDriver;
  std::string message;  // one line, as in Error

  // Throws the refusal as an Error. Requires: outcome != kLoaded.
  [[noreturn]] void raise() const;
};

// Loads the cubin of `artifact` once for all contexts, and makes it ready in the current context if
// there is one. Safe while the calling thread captures a stream: the thread's capture mode is
// relaxed for the time and put back, also on failure, and the capture goes on.
//
// `info.max_threads` is completed from the driver when a context is current.
// Requires: the cubin has been checked (check_cubin); the driver outlives the result.
// Returns: never throws for what a driver or device says; see LoadOutcome.
// Cost: 15 to 30 us for a cubin of 4 to 100 KB.
LoadResult load_kernel(Driver& driver, const Artifact& artifact, const KernelInfo& info);

// The message for a kernel on a device that cannot run it; names both.
std::string wrong_device_text(const KernelInfo& info, const Arch& arch, const DeviceInfo& device);

}  // namespace jit::inline v1
