#include "gpu/paged_mqa_plan.hpp"

#include <algorithm>
#include <random>

namespace jit::test {
namespace {

constexpr std::size_t kShapes = 6 * 3 * 3 * 2;
constexpr std::size_t kCasesPerShape = 3;
constexpr std::int64_t kMaxKeys = 24 * 1024;  // of a case, all tokens together
constexpr std::array<std::int64_t, 13> kBatches{1, 2, 3, 5, 8, 31, 32, 33, 64, 131, 132, 133, 256};
constexpr std::array<std::int32_t, 14> kEdgeLengths{0,  1,   31,  32,  33,  63,  64,
                                                    65, 127, 255, 256, 257, 511, 512};
constexpr std::array<std::byte, 2> kPoisons{std::byte{0xFF}, std::byte{0x5A}};

using Engine = std::mt19937_64;

template <class Values>
auto one_of(const Values& values, Engine& engine) {
  return values[engine() % values.size()];
}

std::int32_t uniform(std::int64_t low, std::int64_t high, Engine& engine) {
  return static_cast<std::int32_t>(std::uniform_int_distribution<std::int64_t>(low, high)(engine));
}

// Lengths that together stay quickly judged.
std::int64_t any_length_limit(const PagedMqaCase& paged) {
  return std::clamp<std::int64_t>(2 * kMaxKeys / paged.rows(), 70, 1000);
}

std::int32_t edge_length(const PagedMqaCase& paged, Engine& engine) {
  const std::int64_t limit = any_length_limit(paged);
  for (;;) {
    const std::int32_t length = one_of(kEdgeLengths, engine);
    if (length <= limit) return length;
  }
}

std::int32_t length_of(const PagedMqaCase& paged, LengthPattern pattern, std::int64_t request,
                       Engine& engine) {
  const std::int64_t limit = any_length_limit(paged);
  const std::int32_t any = uniform(0, limit, engine);
  switch (pattern) {
    case LengthPattern::kEdges: return edge_length(paged, engine);
    case LengthPattern::kFirstZero: return request == 0 ? 0 : any;
    case LengthPattern::kMiddleZero: return request % 3 == 1 ? 0 : any;
    case LengthPattern::kLastZero: return request + 1 == paged.batch ? 0 : any;
    case LengthPattern::kAllZero: return 0;
    case LengthPattern::kOutOfRange:
      if (engine() % 3 == 0) return -uniform(1, 1 << 30, engine);
      return engine() % 3 == 0 ? uniform(limit, 1 << 30, engine) : any;
    case LengthPattern::kAny: return any;
    case LengthPattern::kOneLong: break;
  }
  return request == paged.batch / 2 ? 8192 : uniform(0, 9, engine);
}

void draw_rest(PagedMqaCase& paged, Engine& engine) {
  paged.seed = engine();
  paged.type = engine() % 2 == 0 ? f32 : bf16;
  paged.clean = engine() % 2 == 0;
  paged.scheduled = engine() % 2 == 0;
  paged.programmatic = engine() % 4 != 0;
  paged.batch = one_of(kBatches, engine);
  paged.workers = one_of(std::array<std::int64_t, 6>{0, 0, 1, 3, 131, 132}, engine);
  paged.block_padding = one_of(std::array<std::int64_t, 4>{0, 0, 16, 16 * 37}, engine);
  paged.table_padding = one_of(std::array<std::int64_t, 3>{0, 1, 13}, engine);
  paged.row_padding = one_of(std::array<std::int64_t, 4>{0, 1, 8, 300}, engine);
  paged.scales = static_cast<ScalePattern>(engine() % 4 % 3);
  paged.weights = static_cast<WeightPattern>(engine() % 4 % 3);
  paged.shared_blocks = engine() % 3 == 0;
  paged.poison = one_of(kPoisons, engine);
}

// Shape i of 6 * 3 * 3 * 2.
PagedMqaCase shape_case(std::size_t i) {
  PagedMqaCase paged;
  paged.next_n = 1 + static_cast<std::int64_t>(i % 6);
  paged.num_heads = std::array<std::int64_t, 3>{16, 32, 64}[i / 6 % 3];
  paged.head_dim = std::array<std::int64_t, 3>{32, 64, 128}[i / 18 % 3];
  paged.block_kv = i / 54 % 2 == 0 ? 32 : 64;
  return paged;
}

void add_shapes(std::vector<PagedMqaCase>& cases, Engine& engine) {
  for (std::size_t i = 0; i < kShapes * kCasesPerShape; ++i) {
    PagedMqaCase paged = shape_case(i / kCasesPerShape);
    draw_rest(paged, engine);
    set_lengths(paged, static_cast<LengthPattern>(i % kLengthPatterns), engine());
    cases.push_back(paged);
  }
}

void add_rare(std::vector<PagedMqaCase>& cases, Engine& engine) {
  for (const std::int64_t next_n : {1, 2, 3, 4}) {
    PagedMqaCase paged;
    paged.next_n = next_n;
    draw_rest(paged, engine);
    paged.batch = 3;
    paged.max_context_len = 131072;
    for (std::int64_t row = 0; row < paged.rows(); ++row) {
      paged.lengths.push_back(row == next_n ? 131072 : uniform(0, 600, engine));
    }
    cases.push_back(paged);

    PagedMqaCase many;
    many.next_n = next_n;
    draw_rest(many, engine);
    many.batch = 4096;
    set_lengths(many, next_n % 2 == 0 ? LengthPattern::kEdges : LengthPattern::kMiddleZero,
                engine());
    cases.push_back(many);
  }
}

}  // namespace

PagedMqaSignature signature_of(const PagedMqaCase& paged) {
  return {paged.next_n, paged.num_heads, paged.head_dim,  paged.block_kv,
          paged.type,   paged.clean,     paged.scheduled, paged.programmatic};
}

std::set<PagedMqaSignature> signatures_of(const std::vector<PagedMqaCase>& cases) {
  std::set<PagedMqaSignature> signatures;
  for (const PagedMqaCase& paged : cases) signatures.insert(signature_of(paged));
  return signatures;
}

std::array<Constant, 8> constants_of(const PagedMqaSignature& signature) {
  return {{{"kNextN", signature.next_n},
           {"kNumHeads", signature.num_heads},
           {"kHeadDim", signature.head_dim},
           {"kBlockKV", signature.block_kv},
           {"LOGITS_TYPE", signature.type},
           {"CLEAN_LOGITS", signature.clean},
           {"HAS_SCHEDULE", signature.scheduled},
           {"PROGRAMMATIC_DEPENDENT_LAUNCH", signature.programmatic}}};
}

void set_lengths(PagedMqaCase& paged, LengthPattern pattern, std::uint64_t seed) {
  Engine engine(seed);
  paged.lengths.clear();
  std::int64_t longest = 1;
  for (std::int64_t row = 0; row < paged.rows(); ++row) {
    paged.lengths.push_back(length_of(paged, pattern, row / paged.next_n, engine));
    longest = std::max<std::int64_t>(longest, paged.lengths.back());
  }
  const std::int64_t limit = any_length_limit(paged);
  if (pattern == LengthPattern::kOutOfRange) longest = limit;
  if (pattern == LengthPattern::kAllZero) longest = 300;
  paged.max_context_len = longest + (engine() % 2 == 0 ? 0 : uniform(1, 70, engine));
}

std::vector<PagedMqaCase> plan_paged_mqa_cases(std::uint64_t seed) {
  Engine engine(seed);
  std::vector<PagedMqaCase> cases;
  add_shapes(cases, engine);
  add_rare(cases, engine);
  return cases;
}

}  // namespace jit::test
