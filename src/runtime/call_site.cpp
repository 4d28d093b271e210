#include "jit/call_site.hpp"

#include <deque>
#include <mutex>

#include "runtime/owned_request.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

struct CallSite::Request {
  Request(Runtime* runtime_, std::string_view name, std::span<const Constant> constants,
          const Sizes& sizes, const KernelOptions& options)
      : runtime(runtime_), owned(name, constants, sizes, options) {}

  Runtime* runtime;  // null: the process-wide one, which is not made before it is needed
  OwnedRequest owned;
  std::mutex mutex;
  Kernel kernel;
};

CallSite::CallSite(std::string_view name, std::initializer_list<Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(
          nullptr, name, std::span<const Constant>(constants.begin(), constants.size()), sizes,
          options)) {}

CallSite::CallSite(Runtime& runtime, std::string_view name, std::span<const Constant> constants,
                   const Sizes& sizes, const KernelOptions& options)
    : request_(std::make_unique<Request>(&runtime, name, constants, sizes, options)) {}

CallSite::~CallSite() = default;

Kernel CallSite::kernel_slowly() const {
  Runtime& runtime = request_->runtime != nullptr ? *request_->runtime : Runtime::shared();
  const Kernel kernel = request_->owned.get_from(runtime);
  // With GPUs of several capabilities the answer depends on the current context each time.
  if (!runtime.impl().devices().homogeneous()) return kernel;
  const std::lock_guard lock(request_->mutex);
  if (known_.load(std::memory_order_relaxed) != nullptr) return kernel;  // it has readers by now
  request_->kernel = kernel;
  known_.store(&request_->kernel, std::memory_order_release);
  return kernel;
}

}  // namespace jit::inline v1
