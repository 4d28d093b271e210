// The public grid. Source: the shapes of FlashAttention's hopper/test_flash_attn.py, 2025.
#include <algorithm>
#include <array>
#include <random>

#include "gpu/fp8_attention_plan.hpp"

namespace jit::test {
namespace {

using Engine = std::mt19937_64;

struct Shape {
  std::int32_t queries;
  std::int32_t keys;
};

constexpr std::array<Shape, 20> kFixed{
    {{1, 1},     {64, 128},    {128, 192},   {256, 256},   {239, 1},     {799, 3},    {113, 203},
     {113, 128}, {128, 217},   {113, 211},   {108, 256},   {256, 512},   {384, 256},  {640, 128},
     {512, 256}, {1024, 1024}, {1023, 1024}, {1024, 1023}, {4096, 4096}, {4224, 4224}}};

constexpr std::array<Shape, 20> kVarlen{
    {{1, 1},     {1, 3},     {2, 1},       {511, 1},     {3, 513},     {64, 128},   {128, 128},
     {256, 256}, {113, 203}, {128, 217},   {113, 211},   {108, 256},   {256, 512},  {307, 256},
     {640, 128}, {512, 256}, {1024, 1024}, {1023, 1024}, {1024, 1023}, {2048, 2048}}};

constexpr std::array<Shape, 11> kCached{{{1, 128},
                                         {1, 339},
                                         {3, 1024},
                                         {64, 800},
                                         {64, 256},
                                         {3, 799},
                                         {64, 2048},
                                         {16, 20000},
                                         {128, 128},
                                         {256, 512},
                                         {2048, 3577}}};

// Masks and heads in turn: few kernels for many shapes.
struct Turn {
  bool causal;
  std::int64_t window;  // 0: none
  float softcap;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t pack;
  std::int64_t splits;
};
constexpr std::array<Turn, 6> kTurns{{{true, 0, 0, 6, 6, 1, 1},
                                      {false, 0, 0, 16, 2, 8, 1},
                                      {true, 0, 15, 8, 1, 8, 1},
                                      {false, 1, 0, 6, 2, 1, 1},
                                      {true, 0, 0, 16, 2, 1, 3},
                                      {true, 1, 0, 8, 2, 4, 1}}};

void set_turn(Fp8Case& fp8, const Turn& turn, const Shape& shape, Engine& engine) {
  fp8.causal = turn.causal;
  fp8.softcap = turn.softcap;
  fp8.heads = turn.heads;
  fp8.kv_heads = turn.kv_heads;
  fp8.pack_gqa = turn.pack;
  fp8.num_splits = turn.splits;
  fp8.factors = Fp8Factors::kOrdinary;
  fp8.seed = engine();
  if (turn.window == 0) return;
  fp8.window_left = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(shape.keys));
  fp8.window_right = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(shape.keys));
}

// Every sequence has the same lengths.
Fp8Case fixed_case(const Fp8Dims& dims, const Turn& turn, const Shape& shape, Engine& engine) {
  Fp8Case fp8;
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  const std::size_t batch = shape.keys > 2048 ? 2 : 9;
  fp8.query_lengths.assign(batch, shape.queries);
  fp8.key_lengths.assign(batch, shape.keys);
  set_turn(fp8, turn, shape, engine);
  return fp8;
}

// Lengths up to the shape's, and some sequences without keys.
Fp8Case varlen_case(const Fp8Dims& dims, const Turn& turn, const Shape& shape, Engine& engine) {
  Fp8Case fp8 = fixed_case(dims, turn, shape, engine);
  for (std::size_t b = 1; b < fp8.query_lengths.size(); ++b) {
    const auto below = [&](std::int32_t longest) {
      return static_cast<std::int32_t>(1 + engine() % static_cast<std::uint64_t>(longest));
    };
    fp8.query_lengths[b] = below(shape.queries);
    fp8.key_lengths[b] = engine() % 4 == 0 ? 0 : below(shape.keys);
  }
  if (engine() % 2 == 0) fp8.query_slack = static_cast<std::int64_t>(engine() % 20);
  if (engine() % 2 == 0) fp8.key_slack = static_cast<std::int64_t>(engine() % 20);
  return fp8;
}

Fp8Case cached_case(std::int64_t page_size, const Turn& turn, const Shape& shape, Engine& engine) {
  Fp8Case fp8 = varlen_case({128, 128}, turn, shape, engine);
  fp8.query_slack = -1;
  fp8.page_size = page_size;
  std::ranges::fill(fp8.query_lengths, shape.queries);
  return fp8;
}

}  // namespace

std::vector<Fp8Case> plan_public_fp8_cases(std::uint64_t seed) {
  Engine engine(seed);
  std::vector<Fp8Case> cases;
  std::size_t turn = 0;
  const auto next_turn = [&]() -> const Turn& { return kTurns[turn++ % kTurns.size()]; };
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const Shape& shape : kFixed) {
      cases.push_back(fixed_case(dims, next_turn(), shape, engine));
    }
    ++turn;  // other pairs for the next head dim
  }
  for (const Shape& shape : kVarlen) {
    for (int i = 0; i < 3; ++i) {
      cases.push_back(
          varlen_case(kFp8Dims[engine() % std::size(kFp8Dims)], next_turn(), shape, engine));
    }
  }
  for (const Shape& shape : kCached) {
    for (const std::int64_t page_size : {0, 1, 4, 128}) {
      cases.push_back(cached_case(page_size, next_turn(), shape, engine));
    }
  }
  return cases;
}

}  // namespace jit::test
