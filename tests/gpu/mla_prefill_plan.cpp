#include "gpu/mla_prefill_plan.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace jit::test {
namespace {

constexpr int kCasesPerKernel = 3;
constexpr std::int64_t kMostOfFewRows = 8448;  // as in the manifest
constexpr std::int64_t kMaxScores = 3'000'000;

using Engine = std::mt19937_64;
using Lengths = std::vector<std::int32_t>;

struct Heads {
  std::int64_t dim;
  std::int64_t dim_v;
  bool rope_apart;
};
constexpr std::array<Heads, 5> kHeads{{
    {192, 128, false},
    {192, 128, true},
    {128, 128, false},
    {128, 128, true},
    {64, 64, false},
}};

struct Output {
  DType type;  // e4m3 without a group: with a scale of the tensor
  std::int64_t group;
  bool ue8m0;
};
constexpr std::array<Output, 8> kOutputs{{
    {bf16, 0, false},
    {f16, 0, false},
    {f32, 0, false},
    {e4m3, 0, false},
    {e4m3, 64, false},
    {e4m3, 64, true},
    {e4m3, 128, false},
    {e4m3, 128, true},
}};

template <class Values>
auto one_of(const Values& values, Engine& engine) {
  return values[engine() % values.size()];
}

std::int32_t uniform(std::int32_t low, std::int32_t high, Engine& engine) {
  return std::uniform_int_distribution<std::int32_t>(low, std::max(low, high))(engine);
}

Lengths many(int count, std::int32_t longest, Engine& engine) {
  Lengths lengths;
  for (int i = 0; i < count; ++i) lengths.push_back(uniform(0, longest, engine));
  return lengths;
}

Lengths lengths_of_queries(Engine& engine) {
  switch (engine() % 14) {
    case 0: return {1};
    case 1: return {1, 1, 1};
    case 2: return {127, 128, 129};
    case 3: return {256, 384, 512, 192};
    case 4: return {0, 5, 0, 130, 0};
    case 5: return {64};
    case 6: return {63, 65, 191, 193};
    case 7: return {uniform(1, 700, engine)};
    case 8: return {1, uniform(500, 1100, engine)};
    case 9: return {0, 0, 0};
    case 10: return many(100, 3, engine);  // more than a warp reads at once
    case 11: return many(70, 40, engine);
    default: return many(uniform(1, 9, engine), 300, engine);
  }
}

// Keys of a sequence with so many queries: fewer, as many, none, a context before them.
std::int32_t length_of_keys(std::int32_t queries, Engine& engine) {
  switch (engine() % 8) {
    case 0: return 0;
    case 1: return 1;
    case 2: return uniform(0, queries, engine);
    case 3: return queries;
    case 4: return queries + 1;
    case 5: return one_of(std::array{127, 128, 129, 255, 256, 257}, engine);
    default: return queries + uniform(0, 600, engine);
  }
}

void draw_lengths(MlaCase& mla, Engine& engine) {
  mla.query_lengths = lengths_of_queries(engine);
  mla.key_lengths.clear();
  if (engine() % 2 == 0) return;
  for (const std::int32_t queries : mla.query_lengths) {
    mla.key_lengths.push_back(length_of_keys(queries, engine));
  }
}

void draw_heads(MlaCase& mla, Engine& engine) {
  mla.heads = one_of(std::array{1, 2, 3, 4, 6, 8, 16, 128}, engine);
  mla.kv_heads = mla.heads;
  if (engine() % 2 == 0) return;
  do {
    mla.kv_heads = uniform(1, static_cast<std::int32_t>(mla.heads), engine);
  } while (mla.heads % mla.kv_heads != 0);
}

void draw_rest(MlaCase& mla, std::int64_t fewest_rows, Engine& engine) {
  std::int64_t rows = 0;
  do {
    draw_lengths(mla, engine);
    draw_heads(mla, engine);
    rows = mla.query_tokens() * mla.heads;
  } while (mla.scores() > kMaxScores || rows < fewest_rows || rows > 100'000);
  mla.outside = one_of(std::array{0, 0, 3, 130}, engine);
  mla.has_lse = engine() % 4 != 0;
  mla.counters = engine() % 2 == 0;
  mla.workers = one_of(std::array{0, 0, 0, 1, 7, 131, 133}, engine);
  mla.programmatic = engine() % 4 != 0;
  mla.scale_layout = static_cast<ScaleLayout>(engine() % 4);
  mla.softmax_scale = one_of(std::array{0.0F, 0.0F, 0.03F, 0.2F}, engine);
  mla.layout = static_cast<MlaLayout>(engine() % kMlaLayouts);
  mla.pattern = static_cast<MlaPattern>(engine() % kMlaPatterns);
  mla.poison = engine() % 2 == 0 ? std::byte{0xFF} : std::byte{0x5A};
  // Where NaNs are expected, what is not written shows as a number.
  if (mla.pattern == MlaPattern::kNaN) mla.poison = std::byte{0x5A};
  mla.seed = engine();
}

bool fits(const Heads& heads, const Output& output) {
  return output.group == 0 || heads.dim_v % output.group == 0;
}

// Of the cases of a kernel's constants, one for either mask has many rows.
MlaCase case_of(const Heads& heads, const Output& output, int number, Engine& engine) {
  MlaCase mla;
  mla.causal = number % 2 == 0;
  mla.head_dim = heads.dim;
  mla.head_dim_v = heads.dim_v;
  mla.rope_apart = heads.rope_apart;
  if (output.type != e4m3) mla.type = output.type;
  if (output.type == e4m3 && output.group == 0) {
    mla.scale = one_of(std::array{1e-3F, 0.005F, 0.1F, 0.1F, 10.0F}, engine);
  }
  mla.group = output.group;
  mla.ue8m0 = output.ue8m0;
  draw_rest(mla, number < 2 ? kMostOfFewRows + 1 : 0, engine);
  if (mla.group == 0) mla.scale_layout = ScaleLayout::kRowMajor;
  return mla;
}

}  // namespace

MlaSignature signature_of(const MlaCase& mla) {
  return {mla.head_dim,
          mla.head_dim_v,
          mla.rope_apart,
          mla.causal,
          mla.fp8() ? bf16 : mla.type,
          mla.fp8(),
          mla.group,
          mla.ue8m0,
          mla.programmatic,
          mla.query_tokens() * mla.heads <= kMostOfFewRows ? 1 : kMostOfFewRows + 1};
}

std::vector<Constant> constants_of(const MlaSignature& signature) {
  return {{"kHeadDim", signature.head_dim},
          {"kHeadDimV", signature.head_dim_v},
          {"kRopeDim", signature.rope_apart ? 64 : 0},
          {"CAUSAL", signature.causal},
          {"OUTPUT_TYPE", signature.type},
          {"USE_FP8_OUTPUT", signature.fp8},
          {"FP8_GROUP_SIZE", signature.group},
          {"USE_UE8M0_SCALES", signature.ue8m0},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", signature.programmatic}};
}

std::set<MlaSignature> signatures_of(const std::vector<MlaCase>& cases) {
  std::set<MlaSignature> signatures;
  for (const MlaCase& mla : cases) {
    if (mla.query_tokens() == 0) continue;
    signatures.insert(signature_of(mla));
    if (mla.fp8()) signatures.insert(signature_of(unquantised(mla)));
  }
  return signatures;
}

MlaCase unquantised(const MlaCase& mla) {
  MlaCase twin = mla;
  twin.scale.reset();
  twin.group = 0;
  twin.ue8m0 = false;
  twin.scale_layout = ScaleLayout::kRowMajor;
  return twin;
}

std::vector<MlaCase> plan_mla_cases(std::uint64_t seed) {
  Engine engine(seed);
  std::vector<MlaCase> cases;
  for (const Heads& heads : kHeads) {
    for (const Output& output : kOutputs) {
      if (!fits(heads, output)) continue;
      for (int i = 0; i < 2 * kCasesPerKernel; ++i) {
        cases.push_back(case_of(heads, output, i, engine));
      }
    }
  }
  return cases;
}

}  // namespace jit::test
