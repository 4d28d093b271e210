// NVTX ranges: what a profiler such as Nsight Systems shows, where the build found NVTX's headers.
#pragma once

namespace jit::inline v1 {

// True if ranges are compiled in; they reach a tool that NVTX_INJECTION64_PATH names.
bool has_nvtx() noexcept;

// Begins and ends a range of the calling thread, in the domain "cubinet"; ranges nest. `name` is
// static. Threads: any. Cost: some nanoseconds without a tool; the first call looks for one.
void push_nvtx_range(const char* name) noexcept;
void pop_nvtx_range() noexcept;

}  // namespace jit::inline v1
