#include "jit/runtime.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <new>

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

// What the library itself calls may throw what it likes; callers get jit::Error and nothing else.
template <class Call>
auto guarded(const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kIo, fmt::format("read or write a file: {}", error.what()));
  } catch (const std::exception& error) {
    throw Error(
        ErrorCode::kInternal,
        fmt::format("ask the system: {}; free memory or threads and try again", error.what()));
  }
}

// Calls `call` with the options, guarded. What the caller's own function throws is the caller's,
// and passes as it is.
template <class Options, class Call>
auto with_progress(const Options& options, const Call& call) {
  std::exception_ptr thrown;
  Options told = options;
  if (options.progress) {
    told.progress = [&](const auto& progress) {
      try {
        options.progress(progress);
      } catch (...) {
        thrown = std::current_exception();
        throw;
      }
    };
  }
  try {
    return guarded([&] { return call(told); });
  } catch (...) {
    if (thrown != nullptr) std::rethrow_exception(thrown);
    throw;
  }
}

// Held while the process-wide Runtime is made, which reads files. A fork does not wait for that:
// its child makes one for itself, and leaves alone what a thread of the parent has begun.
std::mutex shared_mutex;
[[maybe_unused]] const int kFreeInChildren =
    ::pthread_atfork(nullptr, nullptr, [] { new (&shared_mutex) std::mutex; });

std::span<const Constant> span_of(std::initializer_list<Constant> constants) {
  return {constants.begin(), constants.size()};
}

}  // namespace

Runtime::Runtime(RuntimeOptions options)
    : impl_(guarded([&] { return std::make_unique<Impl>(std::move(options)); })) {}
Runtime::~Runtime() = default;

Runtime& Runtime::shared() {
  static std::atomic<Runtime*> instance{nullptr};
  Runtime* made = instance.load(std::memory_order_acquire);
  if (made != nullptr) return *made;
  const std::lock_guard lock(shared_mutex);
  made = instance.load(std::memory_order_relaxed);
  if (made == nullptr) {
    // Never destroyed: kernels stay valid until the process ends, and nothing calls a driver that
    // has shut down before us.
    made = new Runtime(RuntimeOptions::from_environment());
    instance.store(made, std::memory_order_release);
  }
  return *made;
}

Kernel Runtime::get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                           const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->get({name, span_of(constants), sizes, options}); });
}

Kernel Runtime::get_kernel(std::string_view name, std::span<const Constant> constants,
                           const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->get({name, constants, sizes, options}); });
}

std::optional<Kernel> Runtime::try_get_kernel(std::string_view name,
                                              std::initializer_list<Constant> constants,
                                              const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->try_get({name, span_of(constants), sizes, options}); });
}

std::optional<Kernel> Runtime::try_get_kernel(std::string_view name,
                                              std::span<const Constant> constants,
                                              const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->try_get({name, constants, sizes, options}); });
}

void Runtime::prefetch(std::string_view name, std::initializer_list<Constant> constants,
                       const Sizes& sizes, const KernelOptions& options) {
  guarded([&] { impl_->prefetch({name, span_of(constants), sizes, options}); });
}

void Runtime::prefetch(std::string_view name, std::span<const Constant> constants,
                       const Sizes& sizes, const KernelOptions& options) {
  guarded([&] { impl_->prefetch({name, constants, sizes, options}); });
}

std::future<WarmUpReport> Runtime::prefetch(std::span<const KernelSpec> kernels) {
  return guarded([&] { return impl_->prefetch(kernels); });
}

WarmUpReport Runtime::warm_up(std::span<const KernelSpec> kernels, const WarmUpOptions& options) {
  return with_progress(options,
                       [&](const WarmUpOptions& told) { return impl_->warm_up(kernels, told); });
}

WarmUpReport Runtime::warm_up(const Recording& recording, const WarmUpOptions& options) {
  return with_progress(options,
                       [&](const WarmUpOptions& told) { return impl_->warm_up(recording, told); });
}

PrecompileReport Runtime::precompile(std::string_view name,
                                     std::initializer_list<Constant> constants, const Sizes& sizes,
                                     std::string_view arch, Debug debug) {
  return precompile(name, span_of(constants), sizes, arch, debug);
}

PrecompileReport Runtime::precompile(std::string_view name, std::span<const Constant> constants,
                                     const Sizes& sizes, std::string_view arch, Debug debug) {
  const auto parsed = Arch::parse(arch);
  if (!parsed) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("precompile {}: \"{}\" is no architecture; expected one such as sm_90a",
                            name, arch));
  }
  if (!is_known(*parsed)) {
    throw Error(ErrorCode::kUnsupportedArch,
                fmt::format("precompile {}: no such architecture as {}; known are {}", name, arch,
                            known_archs_text()));
  }
  return guarded([&] {
    const table::Template& tmpl = impl_->templates().find(name);
    const auto signatures =
        impl_->signatures(tmpl, constants, {*parsed, std::nullopt, steps_of(tmpl, sizes)});
    impl_->templates().mark_served(name);
    PrecompileReport first = impl_->precompile(signatures.front(), *parsed, debug);
    for (const Signature& other : std::span(signatures).subspan(1)) {
      impl_->precompile(other, *parsed, debug);
    }
    return first;
  });
}

std::vector<TuningRecord> Runtime::tune(std::string_view name, std::span<const Constant> constants,
                                        const TuneOptions& options) {
  return with_progress(options, [&](const TuneOptions& told) {
    return impl_->tune({impl_->templates().find(name), constants, std::nullopt, told});
  });
}

void Runtime::add_templates(const std::filesystem::path& directory) {
  guarded([&] { impl_->templates().add(directory); });
}

Stats Runtime::stats() const { return impl_->stats(); }
const RuntimeOptions& Runtime::options() const noexcept { return impl_->options(); }

Kernel get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                  const Sizes& sizes, const KernelOptions& options) {
  return Runtime::shared().get_kernel(name, constants, sizes, options);
}

Kernel get_kernel(std::string_view name, std::span<const Constant> constants, const Sizes& sizes,
                  const KernelOptions& options) {
  return Runtime::shared().get_kernel(name, constants, sizes, options);
}

std::optional<Kernel> try_get_kernel(std::string_view name,
                                     std::initializer_list<Constant> constants, const Sizes& sizes,
                                     const KernelOptions& options) {
  return Runtime::shared().try_get_kernel(name, constants, sizes, options);
}

std::optional<Kernel> try_get_kernel(std::string_view name, std::span<const Constant> constants,
                                     const Sizes& sizes, const KernelOptions& options) {
  return Runtime::shared().try_get_kernel(name, constants, sizes, options);
}

void prefetch(std::string_view name, std::initializer_list<Constant> constants, const Sizes& sizes,
              const KernelOptions& options) {
  Runtime::shared().prefetch(name, constants, sizes, options);
}

void prefetch(std::string_view name, std::span<const Constant> constants, const Sizes& sizes,
              const KernelOptions& options) {
  Runtime::shared().prefetch(name, constants, sizes, options);
}

std::future<WarmUpReport> prefetch(std::span<const KernelSpec> kernels) {
  return Runtime::shared().prefetch(kernels);
}

}  // namespace jit::inline v1
