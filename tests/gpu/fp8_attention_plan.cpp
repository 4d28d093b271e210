#include "gpu/fp8_attention_plan.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <random>

namespace jit::test {
namespace {

constexpr int kCasesPerKernel = 4;
constexpr std::int64_t kRowsOfDecode = 64;  // as in the manifest
constexpr std::int64_t kMostPageRows = 128;
constexpr std::int64_t kMaxScores = 2'500'000;
constexpr std::int64_t kMaxRows = 40'000;

using Engine = std::mt19937_64;
using Lengths = std::vector<std::int32_t>;

enum class Mask : std::uint8_t { kNone, kCausal, kWindow, kCausalWindow };

// What chooses a kernel, apart from head dims.
struct Kernel {
  Mask mask = Mask::kCausal;
  std::int64_t pack = 1;
  std::int64_t page_rows = 0;
  std::int64_t splits = 1;
  bool decode = false;
  bool softcap = false;
  bool sinks = false;
  bool fp8 = false;
  bool invariant = false;
  std::int64_t accum_interval = 1;
};

// Every constant with every value, and most pairs of them.
constexpr std::array<Kernel, 24> kKernels{{
    {.mask = Mask::kCausal},
    {.mask = Mask::kNone},
    {.mask = Mask::kCausal, .pack = 8},
    {.mask = Mask::kCausal, .pack = 4, .decode = true},
    {.mask = Mask::kNone, .pack = 16, .softcap = true},
    {.mask = Mask::kCausalWindow},
    {.mask = Mask::kWindow, .pack = 4},
    {.mask = Mask::kCausalWindow, .pack = 8, .page_rows = 16, .softcap = true, .sinks = true},
    {.mask = Mask::kWindow, .page_rows = 1, .decode = true, .sinks = true},
    {.mask = Mask::kCausal, .pack = 8, .page_rows = 1},
    {.mask = Mask::kCausal, .pack = 8, .page_rows = 16, .decode = true},
    {.mask = Mask::kNone, .pack = 4, .page_rows = 64},
    {.mask = Mask::kCausal, .page_rows = 128},
    {.mask = Mask::kCausal, .pack = 16, .page_rows = 4, .splits = 3, .decode = true},
    {.mask = Mask::kCausal, .pack = 8, .page_rows = 128, .splits = 2, .decode = true},
    {.mask = Mask::kNone, .splits = 3, .softcap = true, .sinks = true},
    {.mask = Mask::kCausalWindow, .pack = 4, .splits = 5},
    {.mask = Mask::kCausal, .pack = 8, .fp8 = true},
    {.mask = Mask::kNone, .page_rows = 16, .decode = true, .fp8 = true},
    {.mask = Mask::kCausal, .pack = 8, .invariant = true},
    {.mask = Mask::kCausal, .pack = 8, .decode = true, .invariant = true},
    {.mask = Mask::kCausal, .accum_interval = 4},
    {.mask = Mask::kWindow, .pack = 16, .page_rows = 64, .accum_interval = 0},
    {.mask = Mask::kCausal, .splits = 3, .sinks = true, .fp8 = true},
}};

template <class Values>
auto one_of(const Values& values, Engine& engine) {
  return values[engine() % values.size()];
}

std::int32_t uniform(std::int64_t low, std::int64_t high, Engine& engine) {
  return static_cast<std::int32_t>(
      std::uniform_int_distribution<std::int64_t>(low, std::max(low, high))(engine));
}

Lengths many(int count, std::int64_t longest, Engine& engine) {
  Lengths lengths;
  for (int i = 0; i < count; ++i) lengths.push_back(uniform(0, longest, engine));
  return lengths;
}

// One more and one less than every multiple of 32: of tiles of keys of any size.
void draw_edges(Fp8Case& fp8, const Kernel& kernel, Engine& engine) {
  for (std::int32_t tile = 32; tile <= 256; tile += 32) {
    for (const std::int32_t keys : {tile - 1, tile, tile + 1}) {
      fp8.key_lengths.push_back(keys);
      // Likewise of the rows of a block, in tokens.
      const std::int64_t block = 64 / kernel.pack * uniform(1, 3, engine);
      const std::int64_t tokens = block + uniform(-1, 1, engine);
      fp8.query_lengths.push_back(
          kernel.decode ? uniform(1, kRowsOfDecode / kernel.pack, engine)
                        : static_cast<std::int32_t>(std::max<std::int64_t>(tokens, 1)));
    }
  }
}

Lengths lengths_of_queries(const Kernel& kernel, Engine& engine) {
  const std::int64_t few = kRowsOfDecode / kernel.pack;
  if (kernel.decode) {
    switch (engine() % 4) {
      case 0: return {1};
      case 1: return Lengths(17, 1);
      case 2: return many(70, few, engine);  // more than a warp reads at once
      default: return many(uniform(1, 9, engine), few, engine);
    }
  }
  switch (engine() % 8) {
    case 0: return {127, 128, 129};
    case 1: return {256, 384, 500, 192};
    case 2: return {0, 5, 0, 130, 0};
    case 3: return {63, 65, 191, 193};
    case 4: return {1, uniform(500, 1100, engine)};
    case 5: return many(70, 40, engine);
    case 6: return {uniform(1, 700, engine)};
    default: return many(uniform(2, 9, engine), 300, engine);
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
    case 5: return one_of(std::array{127, 128, 129, 255, 256, 257, 1023, 1025}, engine);
    default: return queries + uniform(0, 1500, engine);
  }
}

void draw_lengths(Fp8Case& fp8, const Kernel& kernel, int number, Engine& engine) {
  fp8.query_lengths.clear();
  fp8.key_lengths.clear();
  if (number == 0) return draw_edges(fp8, kernel, engine);
  fp8.query_lengths = lengths_of_queries(kernel, engine);
  if (kernel.page_rows == 0 && engine() % 4 == 0) return;
  for (const std::int32_t queries : fp8.query_lengths) {
    fp8.key_lengths.push_back(length_of_keys(queries, engine));
  }
}

void draw_heads(Fp8Case& fp8, const Kernel& kernel, Engine& engine) {
  const std::int64_t ratio = kernel.pack == 1 ? one_of(std::array{1, 1, 2, 4, 6, 8, 16}, engine)
                                              : kernel.pack * uniform(1, 3, engine);
  fp8.kv_heads = uniform(1, 3, engine);
  fp8.heads = ratio * fp8.kv_heads;
  fp8.pack_gqa = 0;
  if (fp8.packed_heads() != kernel.pack || engine() % 4 == 0) fp8.pack_gqa = kernel.pack;
}

// Whether lengths and heads come to the kernel's bucket, and cost little.
bool suits(const Fp8Case& fp8, const Kernel& kernel) {
  const std::int64_t longest = fp8.tells_lengths ? fp8.longest_query() : fp8.query_tokens();
  const bool decode = longest * kernel.pack <= kRowsOfDecode;
  return decode == kernel.decode && fp8.scores() <= kMaxScores &&
         fp8.query_tokens() * fp8.heads <= kMaxRows && fp8.longest_query() > 0;
}

// The same kernels whatever is drawn: one case in four bounds the right by a window of 0.
void draw_mask(Fp8Case& fp8, Mask mask, int number, Engine& engine) {
  const std::array<std::int64_t, 8> widths{1, 7, 63, 64, 100, 128, 300, 1000};
  const bool zero = number % 4 == 3;
  fp8.causal = false;
  switch (mask) {
    case Mask::kNone: return;
    case Mask::kCausal:
      fp8.causal = !zero;
      if (zero) fp8.window_right = 0;
      return;
    case Mask::kCausalWindow:
      fp8.causal = true;
      fp8.window_left = engine() % 8 == 0 ? 0 : one_of(widths, engine);
      if (engine() % 3 == 0) fp8.window_right = one_of(widths, engine);
      return;
    case Mask::kWindow:
      if (number % 4 != 1) fp8.window_left = engine() % 8 == 0 ? 0 : one_of(widths, engine);
      if (number % 4 != 0) fp8.window_right = zero ? 0 : one_of(widths, engine);
      return;
  }
}

// The page of so many rows itself, and in every second case a larger one of no more.
std::int64_t page_size_of(std::int64_t page_rows, int number) {
  const bool larger = number % 2 == 1;
  switch (page_rows) {
    case 1: return larger ? 7 : 1;
    case 2: return larger ? 6 : 2;
    case 4: return larger ? 12 : 4;
    case 16: return larger ? 48 : 16;
    case 64: return larger ? 192 : 64;
    default: return larger ? 256 : 128;
  }
}

// Values below `count` by chance, each as often as any other.
class Deck {
 public:
  explicit Deck(std::uint8_t count) : cards_(count) { std::iota(cards_.begin(), cards_.end(), 0); }

  std::uint8_t deal(Engine& engine) {
    if (dealt_ % cards_.size() == 0) std::shuffle(cards_.begin(), cards_.end(), engine);
    return cards_[dealt_++ % cards_.size()];
  }

 private:
  std::vector<std::uint8_t> cards_;
  std::size_t dealt_ = 0;
};

struct Contents {
  Deck factors{kFp8Factors};
  Deck layouts{kFp8Layouts};
  Deck patterns{kFp8Patterns};
};

void draw_contents(Fp8Case& fp8, Contents& contents, Engine& engine) {
  fp8.softmax_scale = one_of(std::array{0.0F, 0.0F, 0.03F, 0.2F}, engine);
  fp8.factors = static_cast<Fp8Factors>(contents.factors.deal(engine));
  fp8.layout = static_cast<Fp8Layout>(contents.layouts.deal(engine));
  fp8.pattern = static_cast<Fp8Pattern>(contents.patterns.deal(engine));
  // Both at once are scores of many thousands: nothing but their rounding.
  if (fp8.pattern == Fp8Pattern::kPeaked && fp8.factors == Fp8Factors::kExtreme) {
    fp8.factors = Fp8Factors::kNone;
  }
  if (fp8.sinks) {
    // No sink is so far above all keys that what is left of the values is below all floats.
    if (fp8.pattern <= Fp8Pattern::kPeaked) fp8.pattern = Fp8Pattern::kOrdinary;
    if (fp8.factors == Fp8Factors::kExtreme) fp8.factors = Fp8Factors::kOrdinary;
  }
  fp8.poison = engine() % 2 == 0 ? std::byte{0xFF} : std::byte{0x5A};
  fp8.seed = engine();
}

void draw_rest(Fp8Case& fp8, Engine& engine) {
  const std::array<std::int64_t, 6> slacks{-1, -1, -1, 0, 3, 130};
  fp8.query_slack = one_of(slacks, engine);
  fp8.key_slack =
      fp8.has_key_places() || fp8.page_size != 0 ? one_of(slacks, engine) : fp8.query_slack;
  fp8.outside = one_of(std::array{0, 0, 3, 130}, engine);
  fp8.has_lse = engine() % 4 != 0;
  fp8.counters = engine() % 2 == 0;
  fp8.workers = one_of(std::array{0, 0, 0, 1, 7, 131, 133}, engine);
}

Fp8Case case_of(const Fp8Dims& dims, const Kernel& kernel, int number, Contents& contents,
                Engine& engine) {
  Fp8Case fp8;
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  draw_mask(fp8, kernel.mask, number, engine);
  if (kernel.page_rows != 0) {
    fp8.page_size = page_size_of(std::max(kernel.page_rows, least_page_size(dims)), number);
  }
  fp8.num_splits = kernel.splits;
  if (kernel.softcap) fp8.softcap = one_of(std::array{15.0F, 30.0F}, engine);
  fp8.sinks = kernel.sinks;
  if (kernel.fp8) fp8.scale = one_of(std::array{0.005F, 0.1F, 0.1F, 10.0F}, engine);
  fp8.invariant = kernel.invariant;
  fp8.accum_interval = kernel.accum_interval;
  do {
    draw_lengths(fp8, kernel, number, engine);
    draw_heads(fp8, kernel, engine);
    draw_rest(fp8, engine);
    fp8.tells_lengths = kernel.decode || engine() % 4 != 0;
  } while (!suits(fp8, kernel));
  draw_contents(fp8, contents, engine);
  return fp8;
}

std::int64_t page_rows_of(std::int64_t page_size) {
  if (page_size == 0) return 0;
  return std::min(page_size & -page_size, kMostPageRows);
}

}  // namespace

std::int64_t least_page_size(const Fp8Dims& dims) {
  const auto least = [](std::int64_t dim) -> std::int64_t {
    return dim % 128 == 0 ? 1 : dim % 64 == 0 ? 2 : 4;
  };
  return std::max(least(dims.qk), least(dims.v));
}

Fp8Signature signature_of(const Fp8Case& fp8) {
  const bool split = fp8.num_splits > 1;
  const bool causal = fp8.causal || fp8.window_right == 0;
  const std::int64_t tokens =
      fp8.tells_lengths && fp8.longest_query() > 0 ? fp8.longest_query() : fp8.query_tokens();
  const bool decode = tokens * fp8.packed_heads() <= kRowsOfDecode;
  return {fp8.head_dim,
          fp8.head_dim_v,
          fp8.accum_interval,
          causal,
          fp8.window_left >= 0 || (fp8.window_right >= 0 && !causal),
          fp8.softcap != 0,
          fp8.sinks,
          fp8.packed_heads(),
          page_rows_of(fp8.page_size),
          split,
          fp8.fp8() && !split,
          fp8.invariant,
          fp8.programmatic,
          decode ? 1 : kRowsOfDecode + 1};
}

std::vector<Constant> constants_of(const Fp8Signature& signature) {
  return {{"kHeadDim", signature.head_dim},
          {"kHeadDimV", signature.head_dim_v},
          {"kAccumInterval", signature.accum_interval},
          {"CAUSAL", signature.causal},
          {"WINDOW", signature.window},
          {"SOFTCAP", signature.softcap},
          {"SINKS", signature.sinks},
          {"kPackGqa", signature.packed_heads},
          {"kPageRows", signature.page_rows},
          {"SPLIT", signature.split},
          {"USE_FP8_OUTPUT", signature.fp8},
          {"kInvariant", signature.invariant},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", signature.programmatic}};
}

std::vector<Constant> constants_of(const Fp8Combine& combine) {
  return {{"kHeadDimV", combine.head_dim_v},
          {"USE_FP8_OUTPUT", combine.fp8},
          {"PROGRAMMATIC_DEPENDENT_LAUNCH", combine.programmatic}};
}

Fp8Kernels kernels_of(const std::vector<Fp8Case>& cases) {
  Fp8Kernels kernels;
  for (const Fp8Case& fp8 : cases) {
    if (fp8.query_tokens() == 0) continue;
    const Fp8Signature signature = signature_of(fp8);
    kernels.attention.insert(signature);
    if (signature.split) kernels.combine.insert({fp8.head_dim_v, fp8.fp8(), fp8.programmatic});
  }
  return kernels;
}

std::vector<Fp8Case> plan_fp8_cases(std::uint64_t seed) {
  Engine engine(seed);
  std::vector<Fp8Case> cases;
  std::size_t turn = 0;
  for (const Fp8Dims& dims : kFp8Dims) {
    Contents contents;
    for (const Kernel& kernel : kKernels) {
      const bool programmatic = ++turn % 4 != 0;
      if (kernel.accum_interval > 1 && dims.qk > 128) continue;
      for (int i = 0; i < kCasesPerKernel; ++i) {
        cases.push_back(case_of(dims, kernel, i, contents, engine));
        cases.back().programmatic = programmatic;
      }
    }
  }
  return cases;
}

}  // namespace jit::test
