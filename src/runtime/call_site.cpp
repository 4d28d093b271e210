#include "jit/call_site.hpp"

#include <memory>

#include "jit/kernel_spec.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

struct CallSite::Request {
  Request(Runtime* runtime_, KernelSpec spec_) : runtime(runtime_), spec(std::move(spec_)) {}

  Runtime* runtime;  // null: the process-wide one, which is not made before it is needed
  KernelSpec spec;
};

CallSite::CallSite(std::string_view name, std::initializer_list<Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(nullptr, KernelSpec(name, constants, sizes, options))) {}

CallSite::CallSite(Runtime& runtime, std::string_view name, std::span<const Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(&runtime, KernelSpec(name, constants, sizes, options))) {}

CallSite::~CallSite() { delete known_.load(std::memory_order_acquire); }

Kernel CallSite::kernel_slowly() const {
  Runtime& runtime = request_->runtime != nullptr ? *request_->runtime : Runtime::shared();
  const KernelSpec& spec = request_->spec;
  const Kernel kernel =
      runtime.get_kernel(spec.name(), spec.constants(), spec.sizes(), spec.options());
  // With GPUs of several models the answer depends on the current context each time.
  if (!runtime.impl().devices().homogeneous()) return kernel;
  // No lock: a child of fork() would find it held by a thread that it does not have.
  auto made = std::make_unique<const Kernel>(kernel);
  const Kernel* known = nullptr;
  if (known_.compare_exchange_strong(known, made.get(), std::memory_order_release)) {
    static_cast<void>(made.release());
  }
  return kernel;
}

}  // namespace jit::inline v1
