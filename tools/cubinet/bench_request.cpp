#include "cubinet/bench_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace jit::inline v1 {
namespace {

// Calls `take` with every word of texts such as "1,64" and "4096".
template <class Take>
void for_each_word(const std::vector<std::string>& texts, const Take& take) {
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      take(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
}

std::vector<std::int64_t> parse_numbers(const std::vector<std::string>& texts,
                                        std::string_view option) {
  std::vector<std::int64_t> values;
  for_each_word(texts, [&](const std::string& word) {
    if (word.empty() || word.size() > 9 ||
        word.find_first_not_of("0123456789") != std::string::npos || std::stoll(word) == 0) {
      throw UsageError(fmt::format("bench: {} takes numbers above 0, such as 1,64,4096", option));
    }
    values.push_back(std::stoll(word));
  });
  return values;
}

std::vector<MergeScales> parse_scales(const std::vector<std::string>& texts) {
  std::vector<MergeScales> kinds;
  for_each_word(texts, [&](const std::string& word) {
    const auto known = merge_scales();
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const MergeScales& scales) { return scales.name == word; });
    if (found == known.end()) {
      throw UsageError(
          fmt::format("bench: --scales takes tensor, group128, group64, group128_ue8m0 and "
                      "group64_ue8m0, not {}",
                      word));
    }
    kinds.push_back(*found);
  });
  return kinds;
}

std::vector<MlaPrefillSpec> parse_specs(const std::vector<std::string>& texts) {
  std::vector<MlaPrefillSpec> specs;
  for_each_word(texts, [&](const std::string& word) {
    const auto spec = parse_mla_prefill_spec(word);
    if (!spec) {
      throw UsageError(
          fmt::format("bench: --specs takes batches of prefill of up to a million "
                      "tokens, such as q512,q2k,8q4k, not {}",
                      word));
    }
    specs.push_back(*spec);
  });
  return specs;
}

std::vector<Fp8Shape> parse_shapes(const std::vector<std::string>& texts) {
  std::vector<Fp8Shape> shapes;
  for_each_word(texts, [&](const std::string& word) {
    const auto shape = parse_fp8_shape(word);
    if (!shape) {
      throw UsageError(
          fmt::format("bench: --shapes takes sequences x tokens, up to a million together, such as "
                      "1x16384,32x512, not {}",
                      word));
    }
    shapes.push_back(*shape);
  });
  return shapes;
}

std::vector<std::int64_t> parse_head_dims(const std::vector<std::string>& texts) {
  const std::vector<std::int64_t> head_dims = parse_numbers(texts, "--head-dim");
  for (const std::int64_t dim : head_dims) {
    if (std::find(kFp8HeadDims.begin(), kFp8HeadDims.end(), dim) == kFp8HeadDims.end()) {
      throw UsageError(
          fmt::format("bench: --head-dim takes 64, 96, 128, 192 and 256, not {}", dim));
    }
  }
  return head_dims;
}

// "none" is 0.
std::vector<std::int64_t> parse_page_sizes(const std::vector<std::string>& texts) {
  std::vector<std::int64_t> sizes;
  for_each_word(texts, [&](const std::string& word) {
    if (word == "none") sizes.push_back(0);
    else sizes.push_back(parse_numbers({word}, "--page-size").front());
  });
  return sizes;
}

std::optional<DType> parse_logits(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "f32") return DType::kF32;
  if (text == "bf16") return DType::kBF16;
  throw UsageError(fmt::format("bench: --logits takes f32 or bf16, not {}", text));
}

// Above 0, if it was given at all.
void require_positive(int value, std::string_view option) {
  if (value < 0) throw UsageError(fmt::format("bench: {} takes a number above 0", option));
}

std::optional<std::uint64_t> seed_of(const BenchRequest& request) {
  require_positive(request.seed, "--seed");
  if (request.seed == 0) return std::nullopt;
  return static_cast<std::uint64_t>(request.seed);
}

// What was asked for, else fewer where it is to be quick.
int rounds_or(const BenchRequest& request, int otherwise, int quick) {
  require_positive(request.rounds, "--rounds");
  if (request.rounds > 0) return request.rounds;
  return request.quick ? quick : otherwise;
}

void check_processes(const BenchRequest& request) {
  if (request.processes < 0 || request.processes > 256) {
    throw UsageError("bench: --processes takes a number from 1 to 256");
  }
}

}  // namespace

void BenchRequest::declare(Arguments& arguments) {
  arguments.add({"NAME",
                 "merge_attn_states, mla_prefill, paged_mqa_logits, mqa_logits, fp8_attention, "
                 "fp8_attention_decode; fp8_attention_tiles for what the compiler says of them; "
                 "runtime for hits, launches and restarts; start for many kernels in many "
                 "processes; tuning for "
                 "requests, choices and their cost; farm for precompile; compile for the compiler, "
                 "by preset",
                 {}},
                names);
  arguments.add({"--tokens", "Token counts", "LIST"}, tokens);
  arguments.add({"--keys", "mqa_logits: key counts", "LIST"}, keys);
  arguments.add({"--batch", "paged_mqa_logits, fp8_attention_decode: requests", "LIST"}, batches);
  arguments.add({"--context", "paged_mqa_logits, fp8_attention_decode: keys of a request", "LIST"},
                contexts);
  arguments.add({"--next-n", "paged_mqa_logits: tokens of a request (else 1,2,3,4)", "LIST"},
                next_n);
  arguments.add({"--ragged", "paged_mqa_logits: 0.7 to 1.3 of the context", {}}, ragged);
  arguments.add({"--block-kv", "paged_mqa_logits: keys of a block (else 64)", "N"}, block_kv);
  arguments.add({"--logits", "Type of logits: f32 or bf16", "TYPE"}, logits);
  arguments.add({"--heads", "Head counts", "LIST"}, heads);
  arguments.add({"--head-size", "Elements per head", "N"}, head_size);
  arguments.add({"--scales", "tensor, group128, group64, group128_ue8m0, group64_ue8m0", "LIST"},
                scales);
  arguments.add({"--specs", "mla_prefill: batches (q512, 8q4k: 8 sequences of 4096)", "LIST"},
                specs);
  arguments.add({"--no-counters", "mla_prefill, fp8_attention: without work counters", {}},
                no_counters);
  arguments.add({"--head-dim", "fp8_attention: elements per head", "LIST"}, head_dims);
  arguments.add({"--shapes", "fp8_attention: batches of prefill (4x4096: 4 sequences)", "LIST"},
                shapes);
  arguments.add({"--page-size", "fp8_attention_decode: tokens of a page; none", "LIST"},
                page_sizes);
  arguments.add({"--variants", "fp8_attention_tiles: with each mask, layout and output", {}},
                variants);
  arguments.add({"--workers", "farm: numbers of worker processes", "LIST"}, workers);
  arguments.add({"--kernels", "farm: kernels to compile each time (else 64)", "N"}, kernels);
  arguments.add({"--arch", "farm, compile, tiles: architecture (else sm_90a)", "ARCH"}, arch);
  arguments.add(
      {"--preset", "tuning: presets of merge_attn_states; compile: of any template", "NAME"},
      presets);
  arguments.add({"--rounds", "Samples per point; tuning: times that it is repeated", "N"}, rounds);
  arguments.add({"--processes", "That start together (else 8; tuning 16)", "N"}, processes);
  arguments.add({"--seed", "Repeat the check of a report or a failure, or the requests", "N"},
                seed);
  arguments.add({"--quick", "A few points and samples", {}}, quick);
}

std::string BenchRequest::text() const {
  std::string command = "cubinet bench";
  for (const std::string& word : names) command += " " + word;
  if (quick) command += " --quick";
  const std::array<std::pair<std::string_view, const std::vector<std::string>*>, 13> lists{
      {{"--tokens", &tokens},
       {"--keys", &keys},
       {"--batch", &batches},
       {"--context", &contexts},
       {"--next-n", &next_n},
       {"--heads", &heads},
       {"--scales", &scales},
       {"--specs", &specs},
       {"--head-dim", &head_dims},
       {"--shapes", &shapes},
       {"--page-size", &page_sizes},
       {"--workers", &workers},
       {"--preset", &presets}}};
  for (const auto& [option, texts] : lists) {
    for (const std::string& text : *texts) command += fmt::format(" {} {}", option, text);
  }
  if (ragged) command += " --ragged";
  if (no_counters) command += " --no-counters";
  if (variants) command += " --variants";
  if (!logits.empty()) command += " --logits " + logits;
  if (name() == "farm") command += fmt::format(" --kernels {}", kernels);
  if (name() == "farm" || name() == "compile" || name() == "fp8_attention_tiles")
    command += " --arch " + arch;
  if (block_kv != 64) command += fmt::format(" --block-kv {}", block_kv);
  if (head_size != 128) command += fmt::format(" --head-size {}", head_size);
  if (processes != 0) command += fmt::format(" --processes {}", processes);
  if (rounds != 0) command += fmt::format(" --rounds {}", rounds);
  return command;
}

void BenchRequest::check() const {
  if (name() == "merge_attn_states") static_cast<void>(merge());
  if (name() == "mla_prefill") static_cast<void>(mla_prefill());
  if (name() == "fp8_attention") static_cast<void>(fp8_prefill());
  if (name() == "fp8_attention_decode") static_cast<void>(fp8_decode());
  if (name() == "paged_mqa_logits") static_cast<void>(paged_mqa());
  if (name() == "mqa_logits") static_cast<void>(mqa());
  if (name() == "start") static_cast<void>(start());
  if (name() == "tuning") static_cast<void>(tuning());
}

MergeBenchOptions BenchRequest::merge() const {
  MergeBenchOptions options;
  if (quick) {
    options.tokens = {1, 256, 4096};
    options.heads = {128};
    options.scales = {merge_scales()[0]};
    if (head_size % 128 == 0) options.scales.push_back(merge_scales()[1]);
  }
  if (!tokens.empty()) options.tokens = parse_numbers(tokens, "--tokens");
  if (!heads.empty()) options.heads = parse_numbers(heads, "--heads");
  if (!scales.empty()) options.scales = parse_scales(scales);
  options.rounds = rounds_or(*this, options.rounds, 5);
  options.head_size = head_size;
  options.check_seed = seed_of(*this);
  return options;
}

PagedMqaBenchOptions BenchRequest::paged_mqa() const {
  PagedMqaBenchOptions options;
  options.batches = parse_numbers(batches, "--batch");
  options.contexts = parse_numbers(contexts, "--context");
  options.heads = parse_numbers(heads, "--heads");
  options.next_n = parse_numbers(next_n, "--next-n");
  options.logits_type = parse_logits(logits);
  if (ragged) options.ragged = true;
  options.head_dim = head_size;
  options.block_kv = block_kv;
  options.quick = quick;
  options.rounds = rounds_or(*this, options.rounds, 7);
  options.check_seed = seed_of(*this);
  return options;
}

MqaBenchOptions BenchRequest::mqa() const {
  MqaBenchOptions options;
  options.tokens = parse_numbers(tokens, "--tokens");
  options.keys = parse_numbers(keys, "--keys");
  options.heads = parse_numbers(heads, "--heads");
  options.logits_type = parse_logits(logits);
  options.head_dim = head_size;
  options.quick = quick;
  options.rounds = rounds_or(*this, options.rounds, 7);
  options.check_seed = seed_of(*this);
  return options;
}

MlaPrefillBenchOptions BenchRequest::mla_prefill() const {
  MlaPrefillBenchOptions options;
  options.specs = parse_specs(specs);
  options.heads = parse_numbers(heads, "--heads");
  options.counters = !no_counters;
  options.quick = quick;
  options.rounds = rounds_or(*this, options.rounds, 7);
  options.check_seed = seed_of(*this);
  return options;
}

Fp8PrefillBenchOptions BenchRequest::fp8_prefill() const {
  Fp8PrefillBenchOptions options;
  options.head_dims = parse_head_dims(head_dims);
  options.shapes = parse_shapes(shapes);
  options.counters = !no_counters;
  options.quick = quick;
  options.rounds = rounds_or(*this, options.rounds, 5);
  options.check_seed = seed_of(*this);
  return options;
}

Fp8DecodeBenchOptions BenchRequest::fp8_decode() const {
  Fp8DecodeBenchOptions options;
  options.head_dims = parse_head_dims(head_dims);
  options.batches = parse_numbers(batches, "--batch");
  options.keys = parse_numbers(contexts, "--context");
  options.page_sizes = parse_page_sizes(page_sizes);
  options.counters = !no_counters;
  options.quick = quick;
  options.rounds = rounds_or(*this, options.rounds, 3);
  options.check_seed = seed_of(*this);
  return options;
}

Fp8TilesOptions BenchRequest::fp8_tiles() const {
  Fp8TilesOptions options;
  options.head_dims = parse_head_dims(head_dims);
  options.variants = variants;
  options.quick = quick;
  options.arch = arch;
  return options;
}

StartBenchOptions BenchRequest::start() const {
  check_processes(*this);
  StartBenchOptions options;
  if (processes > 0) options.processes = processes;
  options.rounds = rounds_or(*this, options.rounds, 1);
  return options;
}

TuningBenchOptions BenchRequest::tuning() const {
  check_processes(*this);
  TuningBenchOptions options;
  if (quick) {
    options.presets = {"bf16_d128"};
    options.processes = options.counts = 3;
  }
  if (!presets.empty()) options.presets = presets;
  if (processes > 0) options.processes = processes;
  options.repeats = rounds_or(*this, options.repeats, 3);
  options.seed = seed_of(*this).value_or(options.seed);
  return options;
}

FarmBenchOptions BenchRequest::farm() const {
  if (kernels < 1 || kernels > 512) throw UsageError("bench: --kernels takes 1 to 512");
  FarmBenchOptions options;
  options.kernels = static_cast<std::size_t>(kernels);
  options.arch = arch;
  options.rounds = rounds_or(*this, options.rounds, options.rounds);
  for (const std::int64_t count : parse_numbers(workers, "--workers")) {
    options.workers.push_back(static_cast<std::size_t>(count));
  }
  return options;
}

CompileBenchOptions BenchRequest::compile() const {
  CompileBenchOptions options;
  options.presets = presets;
  options.arch = arch;
  options.rounds = rounds_or(*this, options.rounds, 1);
  return options;
}

}  // namespace jit::inline v1
