// CallSite: a handle for hot loops.
#pragma once

#include <atomic>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "jit/abi.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

// CallSite remembers the kernel of one request, so that a hot loop pays one atomic load for it:
//
//   static const jit::CallSite site("merge_attn_states", {{"HEAD_SIZE", 128}, ...});
//   site.kernel().launch(grid, block, stream, params);
//
// Requests that steer tunables by size take one CallSite per bucket, or get_kernel.
// Lifetime: the Runtime outlives the CallSite. Threads: any; making one is cheap and gets nothing.
class JIT_EXPORT CallSite {
 public:
  CallSite(std::string_view name, std::initializer_list<Constant> constants,
           const Sizes& sizes = {}, const KernelOptions& options = {});
  CallSite(Runtime& runtime, std::string_view name, std::span<const Constant> constants,
           const Sizes& sizes = {}, const KernelOptions& options = {});
  ~CallSite();
  CallSite(const CallSite&) = delete;  // a copy would get its kernel again; share the one
  CallSite& operator=(const CallSite&) = delete;

  // The kernel, got at the first call as Runtime::get_kernel does, with its errors.
  // Cost: one atomic load, under 3 ns, where all GPUs of the process have one compute capability;
  // else one more call that asks for the current device. Readiness in a further context is
  // launch()'s affair; prepare() does it ahead.
  Kernel kernel() const {
    const Kernel* known = known_.load(std::memory_order_acquire);
    return known != nullptr ? *known : kernel_slowly();
  }

 private:
  struct Request;
  Kernel kernel_slowly() const;

  mutable std::atomic<const Kernel*> known_{nullptr};  // set where there is one capability only
  std::unique_ptr<Request> request_;
};

}  // namespace jit::inline v1
