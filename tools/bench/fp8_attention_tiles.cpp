#include "bench/fp8_attention_tiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "bench/machine_text.hpp"
#include "fp8_attention/tile.h"
#include "runtime/runtime_impl.hpp"
#include "runtime/variant_facts.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {
namespace {

// A row of FlashAttention-3's table of tiles for 8-bit floats on compute capability 9.0: rows of
// queries and keys of a tile. Heads of up to `head_dim` elements have it.
//
// Source: vllm-project/flash-attention, hopper/tile_size.h, before and after its change for
//         two-level accumulation (2026-03); decode: the rows for one math warpgroup.
struct SeedTile {
  std::string_view table;
  std::int64_t head_dim;
  std::string_view use;
  std::string_view where;  // "": everywhere else
  std::int64_t block_m;
  std::int64_t block_n;
};
constexpr std::string_view kGathered = "pages of few tokens";
constexpr std::string_view kCappedWindow = "softcap and window";
constexpr std::string_view kWindow = "window";
constexpr std::array<SeedTile, 22> kSeedTiles{{
    {"before", 64, "prefill", "", 192, 160},
    {"before", 64, "decode", "", 64, 128},
    {"before", 96, "prefill", "", 192, 128},
    {"before", 128, "prefill", "", 128, 224},
    {"before", 128, "prefill", kCappedWindow, 128, 192},
    {"before", 128, "prefill", kGathered, 128, 160},
    {"before", 128, "decode", "", 64, 96},
    {"before", 192, "prefill", "", 128, 160},
    {"before", 192, "prefill", kCappedWindow, 128, 128},
    {"before", 256, "prefill", "", 128, 128},
    {"before", 256, "prefill", kWindow, 128, 64},
    {"after", 64, "prefill", "", 192, 128},
    {"after", 64, "decode", "", 64, 128},
    {"after", 96, "prefill", "", 128, 128},
    {"after", 96, "decode", "", 64, 128},
    {"after", 128, "prefill", "", 128, 192},
    {"after", 128, "decode", "", 64, 96},
    {"after", 192, "prefill", "", 128, 96},
    {"after", 192, "decode", "", 64, 96},
    {"after", 256, "prefill", "", 128, 128},
    {"after", 256, "prefill", kWindow, 128, 64},
    {"after", 256, "decode", "", 64, 96},
}};

struct Heads {
  std::int64_t dim, dim_v;
};
constexpr std::size_t kMostOfReason = 100;  // of a table's column
constexpr std::array<Heads, 6> kShippedHeads{
    {{64, 64}, {96, 96}, {128, 128}, {192, 128}, {192, 192}, {256, 256}}};

using Constants = std::vector<Constant>;

// What a shipped tile is also compiled with; each in place of what kernels of the benchmark have.
struct Variant {
  std::string_view name;
  Constants set;
};
std::vector<Variant> variants_of_shipped() {
  return {{"no mask", {{"CAUSAL", false}}},
          {"window", {{"CAUSAL", false}, {"WINDOW", true}}},
          {"causal window", {{"WINDOW", true}}},
          {"softcap", {{"SOFTCAP", true}}},
          {"softcap and window", {{"CAUSAL", false}, {"WINDOW", true}, {"SOFTCAP", true}}},
          {"sinks", {{"SINKS", true}}},
          {"pages of 1", {{"kPageRows", 1}}},
          {"pages of 16", {{"kPageRows", 16}}},
          {"pages of 128", {{"kPageRows", 128}}},
          {"split", {{"SPLIT", true}}},
          {"split pages of 16", {{"SPLIT", true}, {"kPageRows", 16}}},
          {"e4m3 output", {{"USE_FP8_OUTPUT", true}}},
          {"one head", {{"kPackGqa", 1}}},
          {"invariant", {{"kInvariant", true}}},
          {"everything",
           {{"CAUSAL", false},
            {"WINDOW", true},
            {"SOFTCAP", true},
            {"SINKS", true},
            {"kPageRows", 16},
            {"USE_FP8_OUTPUT", true}}}};
}

// Values of `over` in place of those of the same names, or beside them.
Constants with(Constants constants, const Constants& over) {
  for (const Constant& constant : over) {
    const auto at = std::find_if(constants.begin(), constants.end(),
                                 [&](const Constant& had) { return had.name == constant.name; });
    if (at == constants.end()) constants.push_back(constant);
    else at->value = constant.value;
  }
  return constants;
}

Constants constants_of(const Heads& heads, std::int64_t interval) {
  return {{"kHeadDim", heads.dim},
          {"kHeadDimV", heads.dim_v},
          {"kAccumInterval", interval},
          {"kPackGqa", 8}};
}

// One line of the table.
struct Subject {
  std::string_view table, use, where;
  Signature signature;
};

// Of what the compiler was asked once.
struct Outcome {
  std::string verdict;
  ArtifactFacts facts;
  std::size_t cubin_bytes = 0;
};

class TilesBench {
 public:
  TilesBench(Runtime& runtime, const Fp8TilesOptions& options, Arch arch)
      : source_(runtime.impl().source()),
        options_(options),
        arch_(arch),
        template_(runtime.impl().templates().find("fp8_attention")) {
    check_capability(template_, arch);
    // What is forbidden is what this is about.
    template_.forbid_spills = template_.forbid_serialized_wgmma = false;
  }

  std::vector<BenchRow> rows() {
    for (const SeedTile& tile : kSeedTiles) add(tile);
    for (const Heads& heads : kShippedHeads) {
      for (const std::int64_t interval : {1, 0}) {
        if (options_.quick && interval == 0) continue;
        add_shipped("", heads, constants_of(heads, interval));
      }
      if (options_.variants) add_variants(heads);
    }
    // What is to be compared stands together.
    std::stable_sort(subjects_.begin(), subjects_.end(), [this](const auto& a, const auto& b) {
      return value_of(a, "kHeadDim").as_int() < value_of(b, "kHeadDim").as_int();
    });
    // The first compile of a process loads the compiler and its tables.
    if (!subjects_.empty()) static_cast<void>(compile(subjects_.front().signature));
    std::vector<BenchRow> rows;
    for (const Subject& subject : subjects_) rows.push_back(row_of(subject));
    return rows;
  }

 private:
  bool is_wanted(std::int64_t head_dim) const {
    const auto& wanted = options_.head_dims;
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), head_dim) != wanted.end();
  }

  // What the selection table chooses for its own tiles is nothing to those of others.
  Constants plain_tunables() const {
    Constants constants;
    for (const table::ConstantDecl& declared : template_.constants) {
      const bool is_tunable = declared.role == table::Role::kTunable && declared.has_default;
      if (is_tunable) constants.push_back({declared.name, declared.default_value});
    }
    return constants;
  }

  void add(const SeedTile& tile) {
    if (!is_wanted(tile.head_dim)) return;
    for (const std::int64_t interval : {1, 0}) {
      if (options_.quick && (interval == 0 || tile.use == "decode")) continue;
      Constants constants = with(constants_of({tile.head_dim, tile.head_dim}, interval),
                                 {{"kNumThreads", 128 + tile.block_m * 2},
                                  {"kBlockN", tile.block_n},
                                  {"kChunk", tile.head_dim},
                                  {"kNumStages", 2},
                                  {"kValueStages", 2},
                                  {"OVERLAP", true}});
      constants = with(plain_tunables(), constants);
      const bool has_window = tile.where == kWindow || tile.where == kCappedWindow;
      if (has_window) constants = with(constants, {{"CAUSAL", false}, {"WINDOW", true}});
      if (tile.where == kCappedWindow) constants = with(constants, {{"SOFTCAP", true}});
      if (tile.where == kGathered) constants = with(constants, {{"kPageRows", 16}});
      subjects_.push_back({tile.table, tile.use, tile.where, resolve(template_, constants)});
    }
  }

  void add_shipped(std::string_view where, const Heads& heads, const Constants& constants) {
    if (!is_wanted(heads.dim)) return;
    for (const std::string_view use : {"prefill", "decode"}) {
      if (options_.quick && use == "decode") continue;
      const std::int64_t rows = use == "decode" ? 1 : std::int64_t{1} << 20;
      subjects_.push_back(
          {"shipped", use, where, resolve(template_, constants, Sizes{{"max_query_rows", rows}})});
    }
  }

  void add_variants(const Heads& heads) {
    for (const Variant& variant : variants_of_shipped()) {
      add_shipped(variant.name, heads, with(constants_of(heads, 1), variant.set));
    }
    if (heads.dim <= 128) add_shipped("every fourth tile", heads, constants_of(heads, 4));
  }

  const Outcome& outcome_of(const Signature& signature) {
    const auto [at, added] = outcomes_.try_emplace(signature.text());
    if (added) at->second = compile(signature);
    return at->second;
  }

  Outcome compile(const Signature& signature) {
    try {
      const Artifact made = source_.compile(make_unit(signature, arch_, Debug::kNone));
      const ArtifactFacts& facts = made.facts;
      std::string verdict = facts.spill_bytes() != 0 ? "spills" : "clean";
      if (facts.serialized_wgmma != 0) verdict = "serialised";
      return {std::move(verdict), facts, made.cubin.size()};
    } catch (const Error& error) {
      if (!is_refusal(error)) throw;
      return {"refused: " + reason_of_refusal(error.what()).substr(0, kMostOfReason), {}, 0};
    }
  }

  const Value& value_of(const Subject& subject, std::string_view name) const {
    const auto& declared = template_.constants;
    const auto at = std::find_if(declared.begin(), declared.end(),
                                 [&](const auto& one) { return one.name == name; });
    return subject.signature.values[static_cast<std::size_t>(at - declared.begin())];
  }

  BenchRow row_of(const Subject& subject) {
    const auto constant = [&](std::string_view name) { return value_of(subject, name).as_int(); };
    const std::int64_t block_m = (constant("kNumThreads") - 128) / 2;
    const auto number = [&](std::string_view name) { return static_cast<int>(constant(name)); };
    const cubinet::fp8_attention::Tile tile{static_cast<int>(block_m), number("kBlockN"),
                                            number("kHeadDim"),        number("kHeadDimV"),
                                            number("kNumStages"),      number("kValueStages")};
    const bool is_square = tile.head_dim == tile.head_dim_v;
    const Outcome& outcome = outcome_of(subject.signature);
    BenchRow row;
    row.point = {{"head_dim", is_square ? std::to_string(tile.head_dim)
                                        : fmt::format("{}/{}", tile.head_dim, tile.head_dim_v)},
                 {"tiles", std::string(subject.table)},
                 {"of", std::string(subject.use)},
                 {"where", std::string(subject.where)},
                 {"tile", fmt::format("{}x{}", block_m, tile.block_n)},
                 {"verdict", outcome.verdict}};
    row.counts = {
        {"chunk", static_cast<std::uint64_t>(constant("kChunk"))},
        {"interval", static_cast<std::uint64_t>(constant("kAccumInterval"))},
        {"overlap", value_of(subject, "OVERLAP").as_bool() ? 1U : 0U},
        {"registers", outcome.facts.registers},
        {"spill_stores", outcome.facts.spill_store_bytes},
        {"spill_loads", outcome.facts.spill_load_bytes},
        {"serialized_wgmma", outcome.facts.serialized_wgmma},
        {"smem_bytes", static_cast<std::uint64_t>(cubinet::fp8_attention::smem_bytes_of(tile))},
        {"cubin_bytes", outcome.cubin_bytes}};
    row.figures = {{"compile_ms", outcome.facts.compile_ms}};
    return row;
  }

  ArtifactSource& source_;
  const Fp8TilesOptions& options_;
  Arch arch_;
  table::Template template_;
  std::vector<Subject> subjects_;
  std::map<std::string, Outcome> outcomes_;  // by signature
};

}  // namespace

void bench_fp8_attention_tiles(Runtime& runtime, const Fp8TilesOptions& options,
                               BenchReport& report) {
  const auto arch = Arch::parse(options.arch);
  if (!arch) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("compile tiles of fp8_attention: {} is no architecture; give one such "
                            "as sm_90a",
                            options.arch));
  }
  report.benchmark = "fp8_attention: what the compiler says of its tiles";
  report.host = machine_text();
  report.method = fmt::format(
      "kernels for {}, 8 query heads per key head in a block, causal where nothing else is said, "
      "two tiles of keys and values in flight; before, after: FlashAttention-3's tiles before "
      "two-level accumulation and for it, with its overlap of a tile's softmax and the product "
      "before; interval 1: two levels of sums, which take registers for chunk elements more, here "
      "for the whole output; interval 0: one level; shipped: the selection table's; spills: bytes "
      "per thread; compile_ms: NVRTC's, in a process whose compiler has worked before",
      arch->text());
  TilesBench bench(runtime, options, *arch);
  report.rows = bench.rows();
  if (report.rows.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "compile tiles of fp8_attention: no tile is left; give head dims of 64, 96, 128, "
                "192, 256");
  }
}

}  // namespace jit::inline v1
