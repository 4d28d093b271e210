#include "base/nvtx.hpp"

#if defined(CUBINET_HAVE_NVTX)
#include <nvtx3/nvToolsExt.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#endif

namespace jit::inline v1 {

#if defined(CUBINET_HAVE_NVTX)

namespace {

// Never destroyed. No fork meets it half made: the child would wait for ever for the thread that
// makes it.
struct Domain {
  std::mutex mutex;
  std::atomic<bool> ready{false};
  nvtxDomainHandle_t handle = nullptr;
};

Domain& shared() noexcept {
  static auto* const instance = new Domain;
  return *instance;
}

[[maybe_unused]] const int kHandlers =
    (shared(), pthread_atfork([] { shared().mutex.lock(); }, [] { shared().mutex.unlock(); },
                              [] { shared().mutex.unlock(); }));

// Null without a tool, which NVTX takes for its default domain and does nothing with.
nvtxDomainHandle_t domain() noexcept {
  Domain& made = shared();
  if (!made.ready.load(std::memory_order_acquire)) {
    const std::lock_guard lock(made.mutex);
    if (!made.ready.load(std::memory_order_relaxed)) {
      made.handle = nvtxDomainCreateA("cubinet");
      made.ready.store(true, std::memory_order_release);
    }
  }
  return made.handle;
}

}  // namespace

bool has_nvtx() noexcept { return true; }

void push_nvtx_range(const char* name) noexcept {
  nvtxEventAttributes_t range{};
  range.version = NVTX_VERSION;
  range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  range.messageType = NVTX_MESSAGE_TYPE_ASCII;
  range.message.ascii = name;
  nvtxDomainRangePushEx(domain(), &range);
}

void pop_nvtx_range() noexcept { nvtxDomainRangePop(domain()); }

#else

bool has_nvtx() noexcept { return false; }
void push_nvtx_range(const char*) noexcept {}
void pop_nvtx_range() noexcept {}

#endif

}  // namespace jit::inline v1
