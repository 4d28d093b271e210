#include "base/nvtx.hpp"

#if defined(CUBINET_HAVE_NVTX)
#include <nvtx3/nvToolsExt.h>
#endif

namespace jit::inline v1 {

#if defined(CUBINET_HAVE_NVTX)

namespace {

// Null without a tool, which NVTX takes for its default domain and does nothing with.
nvtxDomainHandle_t domain() noexcept {
  static const nvtxDomainHandle_t made = nvtxDomainCreateA("cubinet");
  return made;
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
