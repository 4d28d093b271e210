// What the command line of `cubinet bench` asks for.
#pragma once

#include <string>
#include <vector>

#include "bench/compile_time.hpp"
#include "bench/farm.hpp"
#include "bench/fp8_attention.hpp"
#include "bench/fp8_attention_tiles.hpp"
#include "bench/merge_attn_states.hpp"
#include "bench/mla_prefill.hpp"
#include "bench/mqa_logits.hpp"
#include "bench/paged_mqa_logits.hpp"
#include "bench/start.hpp"
#include "bench/tuning.hpp"
#include "cubinet/verb.hpp"

namespace jit::inline v1 {

// The options as they were given. Errors: UsageError from every function, for a value that cannot
// be meant.
struct BenchRequest {
  void declare(Arguments& arguments);
  // The command that asks for the same again.
  std::string text() const;
  const std::string& name() const { return names.front(); }
  // Whether its benchmark can take the options, before a GPU is asked for.
  void check() const;

  MergeBenchOptions merge() const;
  PagedMqaBenchOptions paged_mqa() const;
  MqaBenchOptions mqa() const;
  MlaPrefillBenchOptions mla_prefill() const;
  Fp8PrefillBenchOptions fp8_prefill() const;
  Fp8DecodeBenchOptions fp8_decode() const;
  Fp8TilesOptions fp8_tiles() const;
  StartBenchOptions start() const;
  TuningBenchOptions tuning() const;
  FarmBenchOptions farm() const;
  CompileBenchOptions compile() const;

  std::vector<std::string> names;
  std::vector<std::string> tokens, keys, batches, contexts, next_n, heads, scales, specs;
  std::vector<std::string> head_dims, shapes, page_sizes;
  std::vector<std::string> presets, workers;
  std::string logits;
  std::string arch = "sm_90a";
  int kernels = 64;
  int head_size = 128;
  int block_kv = 64;
  int rounds = 0;
  int seed = 0;
  int processes = 0;
  bool ragged = false;
  bool no_counters = false;
  bool variants = false;
  bool quick = false;
};

}  // namespace jit::inline v1
