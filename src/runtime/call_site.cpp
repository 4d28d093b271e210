#include "jit/call_site.hpp"

#include <mutex>

#include "jit/kernel_spec.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

struct CallSite::Request {
  Request(Runtime* runtime_, KernelSpec spec_) : runtime(runtime_), spec(std::move(spec_)) {}

  Runtime* runtime;  // null: the process-wide one, which is not made before it is needed
  KernelSpec spec;
  std::mutex mutex;
  Kernel kernel;
};

CallSite::CallSite(std::string_view name, std::initializer_list<Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(nullptr, KernelSpec(name, constants, sizes, options))) {}

CallSite::CallSite(Runtime& runtime, std::string_view name, std::span<const Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(&runtime, KernelSpec(name, constants, sizes, options))) {}

CallSite::~CallSite() = default;

Kernel CallSite::kernel_slowly() const {
  Runtime& runtime = request_->runtime != nullptr ? *request_->runtime : Runtime::shared();
  const KernelSpec& spec = request_->spec;
  const Kernel kernel =
      runtime.get_kernel(spec.name(), spec.constants(), spec.sizes(), spec.options());
  // With GPUs of several models the answer depends on the current context each time.
  if (!runtime.impl().devices().homogeneous()) return kernel;
  const std::lock_guard lock(request_->mutex);
  if (known_.load(std::memory_order_relaxed) != nullptr) return kernel;  // it has readers by now
  request_->kernel = kernel;
  known_.store(&request_->kernel, std::memory_order_release);
  return kernel;
}

}  // namespace jit::inline v1
