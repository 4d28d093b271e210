#include "base/nvtx.hpp"

#if defined(CUBINET_HAVE_NVTX)
#include <nvtx3/nvToolsExt.h>
#include <pthread.h>
#endif

namespace jit::inline v1 {

#if defined(CUBINET_HAVE_NVTX)

namespace {

thread_local bool is_making_domain = false;

nvtxDomainHandle_t make_domain() noexcept {
  is_making_domain = true;
  const nvtxDomainHandle_t made = nvtxDomainCreateA("cubinet");
  is_making_domain = false;
  return made;
}

// Null without a tool, which NVTX takes for its default domain and does nothing with.
nvtxDomainHandle_t domain() noexcept {
  static const nvtxDomainHandle_t made = make_domain();
  return made;
}

// It may be long in the making, since NVTX then loads its tool. A fork waits for it: a child would
// wait for ever for the thread that makes it. Not so the fork of a tool that is being loaded.
void make_before_fork() noexcept {
  if (!is_making_domain) static_cast<void>(domain());
}
[[maybe_unused]] const int kMadeBeforeForks = ::pthread_atfork(make_before_fork, nullptr, nullptr);

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
