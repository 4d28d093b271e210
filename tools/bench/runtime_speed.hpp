// The benchmark of the runtime itself: what a hit, a launch, a restart and a compile cost.
#pragma once

#include <filesystem>
#include <string>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Measures, each against its floor and paired within one run: a hit in memory by name, constants
// and a size; a hit through a CallSite (floor: one atomic load); get + launch (floor: bare
// cuLaunchKernel of the same function and arguments, bursts of 256 on an idle stream); the first
// use in a new process with the entry on disk (floor: the driver's own load of the same cubin);
// a compile as the waiting caller sees it (floor: bare NVRTC calls on the same unit); and what
// never_wait.hpp says.
//
// Requires: the runtime has a cache directory, which gets one entry.
// Errors: kDriver and those of get_kernel; kInternal if a restarted process mapped NVRTC.
void bench_runtime(Runtime& runtime, Driver& driver, BenchReport& report);

// The body of a process that bench_runtime starts: prints the nanoseconds that one first use took,
// through the runtime ("get") or the driver alone ("bare", of the cubin in `cubin_file`).
// Returns: an exit code.
int run_restarted(Runtime& runtime, const std::string& role,
                  const std::filesystem::path& cubin_file);

}  // namespace jit::inline v1
