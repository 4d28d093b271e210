// The benchmark of cold compiles: what each preset costs the compiler, and what it says of it.
#pragma once

#include <string>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

struct CompileBenchOptions {
  std::vector<std::string> templates;  // empty: all that are known
  std::vector<std::string> presets;    // empty: all
  std::string arch = "sm_90a";
  int rounds = 5;
};

// Compiles every preset in every bucket as the library does on a miss, without any cache, in one
// process whose compiler is loaded and has worked before. Needs no GPU.
//
// Columns: registers of a thread, static shared memory, stack and spills of a thread in bytes,
// warnings that wgmma waits (C75xx), the cubin's bytes; milliseconds of a compile, median, least
// and most, and of processor time.
// Errors: kInvalidArgument for a template or preset that there is not; those of a compile.
void bench_compile(Runtime& runtime, const CompileBenchOptions& options, BenchReport& report);

}  // namespace jit::inline v1
