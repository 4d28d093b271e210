// The benchmark of a start: many kernels at once, in many processes, from nothing and from a cache.
#pragma once

#include <filesystem>
#include <string>

#include "bench/report.hpp"
#include "jit/recording.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

struct StartBenchOptions {
  int processes = 8;
  int rounds = 5;
};

// 60 signatures of merge_attn_states.
Recording start_recording();

// Measures, in turn within one run, medians of `rounds`:
// - a cold start: processes warm_up a recording of 60 kernels in an empty cache, from the moment
//   that all of them have a CUDA context until the last is done (floor: `cubinet precompile` of the
//   same recording in another empty cache, with as many workers, as a command);
// - a warm start from that cache's directory, from a pack of it in frozen mode with no NVRTC to be
//   found, and from the same pack moved elsewhere: per process, all of them at once (floor: the
//   driver's own loads of the same 60 cubins, in as many processes at once).
//
// Errors: kInternal where a start compiled more or less than 60 kernels in all, or a warm one
// compiled at all, missed one, or mapped NVRTC.
void bench_start(const StartBenchOptions& options, BenchReport& report);

// The body of a process that bench_start starts: prints "ready", waits for a line and prints what
// it measured. `role` is "warm-up" of the recording in `file`, or "loads" of all entries there are.
// Returns: an exit code.
int run_start(Runtime& runtime, const std::string& role, const std::filesystem::path& file);

}  // namespace jit::inline v1
