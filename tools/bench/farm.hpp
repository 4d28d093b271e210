// The benchmark of the precompile farm, against NVRTC alone in as many processes and threads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {

struct FarmBenchOptions {
  std::vector<std::size_t> workers;  // empty: 1, 2, 4, ... up to the cores
  std::size_t kernels = 64;          // rounded up to a multiple of 32
  int rounds = 3;
  std::string arch = "sm_90a";
};

// Runs, for each number of workers and interleaved round by round, each from its start to its end:
//   `cubinet precompile -j N` to an empty cache directory below `folder`,
//   N processes that do nothing but call NVRTC on the same units, from one queue, keeping nothing,
//   N threads of one process that do the same.
// Rates are medians of kernels per second; ratios are medians of the rounds' own. CPU time is of
// the processes with all that they started: it tells the farm's cost apart from a machine that
// others use too. Errors: kNoCompiler; kInternal if a run did not do all its work.
void bench_farm(Runtime& runtime, const std::filesystem::path& folder,
                const FarmBenchOptions& options, BenchReport& report);

// The units of the benchmark: merge_attn_states over head sizes, two input types, FP8 output or
// not, both flags, both buckets. Lifetime: units refer to `signatures`.
std::vector<Signature> farm_bench_signatures(Runtime& runtime, std::size_t kernels);

// The body of a process that bench_farm starts: compiles units whose indices come from stdin, four
// bytes each, with bare NVRTC in `threads` threads, until there are no more. Returns: an exit code.
int run_compile_loop(Runtime& runtime, const std::string& arch, std::size_t kernels,
                     std::size_t threads);

}  // namespace jit::inline v1
