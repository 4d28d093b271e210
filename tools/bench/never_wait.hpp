// The benchmark of what never waits: a try on a cold signature, and hits beside a compile.
#pragma once

#include "bench/report.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

// Measures, in a cache directory of its own:
// - try_get_kernel on 60 signatures that were never asked for, each tried when the ones before are
//   ready: the first (which starts the threads), the median of the others, and the slowest;
// - a hit of another kernel by name, six constants and a size while a cold signature compiles in
// the
//   background, against the same loop with nothing going on, in turn (windows of 2048 hits).
//
// Requires: a current context; two cores.
void bench_never_wait(const RuntimeOptions& options, BenchReport& report);

}  // namespace jit::inline v1
