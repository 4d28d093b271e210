// LoadedKernel: a cubin in the driver, behind jit::Kernel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
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
// Threads: every member may be called from any thread.
struct LoadedKernel {
 public:
  // What one context has of the kernel.
  struct Slot {
    std::uint64_t context_id = 0;
    CudaFunction function = nullptr;
    int device = 0;
    std::atomic<std::uint32_t> smem_limit{0};  // dynamic bytes allowed so far
    std::uint32_t smem_max = 0;                // dynamic bytes the device can give
    Slot* next = nullptr;
  };

  LoadedKernel(Driver& driver, CudaLibrary library, CudaKernel kernel, KernelInfo info, Arch arch);
  ~LoadedKernel();
  LoadedKernel(const LoadedKernel&) = delete;
  LoadedKernel& operator=(const LoadedKernel&) = delete;

  Kernel view() noexcept { return Kernel(this); }
  const KernelInfo& info() const noexcept { return info_; }
  Arch arch() const noexcept { return arch_; }

  // jit::Kernel's members; see there for contracts.
  void launch(const LaunchConfig& config, const void* params, std::size_t params_bytes);
  // Makes the kernel ready in the current context. Errors: kUnsupportedArch if its device cannot
  // run the kernel (naming both); kDriver.
  void prepare();
  int max_active_blocks(int threads, std::size_t smem_bytes);

 private:
  friend struct LoadAccess;
  Slot& slot();  // of the current context; materialises when it is new there
  Slot* find_slot(std::uint64_t context_id) const noexcept;
  Slot& materialise();
  CudaResult make_slot(std::uint64_t context_id, int device, const char** call);
  void check_launch(const LaunchConfig& config, std::size_t params_bytes) const;
  void raise_smem_limit(Slot& slot, std::uint32_t smem_bytes);
  void launch_with_attributes(const Slot& slot, const LaunchConfig& config, void** arguments);
  [[noreturn]] void fail_launch(CudaResult result, const char* call) const;

  Driver& driver_;
  CudaLibrary library_;
  CudaKernel kernel_;
  KernelInfo info_;
  Arch arch_;
  std::atomic<Slot*> slots_{nullptr};  // append-only: a reader never waits, a slot never moves
  std::mutex mutex_;                   // writers of slots_ and limits
};

}  // namespace detail

enum class LoadOutcome : std::uint8_t {
  kLoaded,
  kRefused,      // the driver takes the device but not the image (CUDA 200, 209, 218, 500, ...):
                 // damaged or too new; check its bytes before blaming it
  kWrongDevice,  // the current device cannot run the kernel's architecture: says nothing of the image
  kFailed,       // anything else: out of memory, a context in error, process exit
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
LoadResult load_kernel(Driver& driver, const Artifact& artifact, KernelInfo info);

}  // namespace jit::inline v1
