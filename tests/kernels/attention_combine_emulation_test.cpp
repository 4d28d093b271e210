// The text of attention_combine, run on the host block by block: the join of parts against float64,
// parts that are not read, tokens that are left alone. What only a GPU has is for tests/gpu.
#include <algorithm>
#include <array>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "grid.hpp"  // first: what device code needs

#include "attention_combine/attention_combine.cuh"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

namespace device = cubinet::attention_combine;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <int WIDTH, bool FP8, int THREADS>
struct EmulatedConfig {
  static constexpr int kHeadDimV = WIDTH;
  static constexpr int kNumThreads = THREADS;
  static constexpr bool USE_FP8_OUTPUT = FP8;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = true;
};
// NOLINTEND(readability-identifier-naming)

// Parts and places of a launch. Strides have gaps of their own; what must not be read is a NaN, and
// what is not written stays kPoison.
struct Launch {
  static constexpr std::uint16_t kPoison = 0x5A5A;
  static constexpr int kGap = 4;  // elements, of all strides of rows
  static constexpr float kScale = 0.03F;

  int parts = 1;
  int heads = 1;
  int width = 64;
  bool fp8 = false;
  bool has_lse = true;
  std::vector<int> cu_seqlens_q;
  std::vector<int> seqused_q;
  int tokens = 1;
  std::vector<float> values;
  std::vector<float> lses;
  std::vector<std::uint16_t> out;  // with fp8 two elements each
  std::vector<float> lse;

  std::int64_t head_stride() const { return width + kGap; }
  std::int64_t token_stride() const { return heads * head_stride() + kGap; }
  std::int64_t split_stride() const { return tokens * token_stride() + kGap; }
  std::int64_t lse_head_stride() const { return tokens + 3; }
  std::int64_t lse_split_stride() const { return heads * lse_head_stride() + 1; }
  float& value(int part, int token, int head, int element) {
    return values[static_cast<std::size_t>(part * split_stride() + token * token_stride() +
                                           head * head_stride() + element)];
  }
  float& lse_of(int part, int token, int head) {
    return lses[static_cast<std::size_t>(part * lse_split_stride() + head * lse_head_stride() +
                                         token)];
  }

  void allocate() {
    values.assign(static_cast<std::size_t>(parts * split_stride()), kNan);
    lses.assign(static_cast<std::size_t>(parts * lse_split_stride()), kNan);
    out.assign(static_cast<std::size_t>(tokens * token_stride() / (fp8 ? 2 : 1)), kPoison);
    lse.assign(static_cast<std::size_t>(tokens * heads), 77.0F);
  }
  void fill(std::mt19937_64& random, int token, int head) {
    std::normal_distribution<float> normal;
    for (int part = 0; part < parts; ++part) {
      if (random() % 4 == 0) {
        lse_of(part, token, head) = -kInfinity;
        continue;
      }
      lse_of(part, token, head) = normal(random) * 3 + 40;
      for (int i = 0; i < width; ++i) value(part, token, head, i) = normal(random);
    }
  }
  bool is_of_a_sequence(int token) const {
    for (std::size_t s = 0; s + 1 < cu_seqlens_q.size(); ++s) {
      const int length = seqused_q.empty() ? cu_seqlens_q[s + 1] - cu_seqlens_q[s] : seqused_q[s];
      if (token >= cu_seqlens_q[s] && token < cu_seqlens_q[s] + length) return true;
    }
    return false;
  }

  device::Params params() {
    return {values.data(),
            lses.data(),
            cu_seqlens_q.data(),
            seqused_q.empty() ? nullptr : seqused_q.data(),
            out.data(),
            has_lse ? lse.data() : nullptr,
            fp8 ? &kScale : nullptr,
            split_stride(),
            token_stride(),
            head_stride(),
            lse_split_stride(),
            lse_head_stride(),
            token_stride(),
            head_stride(),
            parts,
            tokens,
            heads,
            static_cast<int>(cu_seqlens_q.size()) - 1};
  }

  template <int WIDTH, bool FP8, int THREADS>
  void run_as() {
    const device::Params given = params();
    const int rows = device::rows_of_block(THREADS, WIDTH, parts);
    const int blocks = (tokens * heads + rows - 1) / rows;
    for (int block = 0; block < blocks; ++block) {
      Warp::block_index().x = static_cast<unsigned>(block);
      Block::run(THREADS, [&] { device::run<EmulatedConfig<WIDTH, FP8, THREADS>>(given); });
    }
  }

  // What is stored of an element, and its value.
  unsigned code_of(int token, int head, int element) const {
    const auto place =
        static_cast<std::size_t>(token * token_stride() + head * head_stride() + element);
    if (!fp8) return out[place];
    return place % 2 == 0 ? out[place / 2] & 0xFFU : out[place / 2] >> 8U;
  }
};

// The join of a row in float64.
struct Joined {
  double lse = 0;
  std::vector<double> values;
  std::vector<double> weighed;  // the same of absolute values
};

Joined join(Launch& launch, int token, int head) {
  Joined row;
  row.values.resize(static_cast<std::size_t>(launch.width));
  row.weighed = row.values;
  double largest = -std::numeric_limits<double>::infinity();
  for (int part = 0; part < launch.parts; ++part) {
    largest = std::max(largest, static_cast<double>(launch.lse_of(part, token, head)));
  }
  row.lse = largest;
  if (std::isinf(largest)) return row;
  double sum = 0;
  for (int part = 0; part < launch.parts; ++part) {
    const double weight = std::exp(launch.lse_of(part, token, head) - largest);
    if (weight == 0) continue;
    sum += weight;
    for (std::size_t i = 0; i < row.values.size(); ++i) {
      const double value = launch.value(part, token, head, static_cast<int>(i));
      row.values[i] += weight * value;
      row.weighed[i] += weight * std::abs(value);
    }
  }
  for (double& value : row.values) value /= sum;
  for (double& value : row.weighed) value /= sum;
  row.lse = largest + std::log(sum);
  return row;
}

// Whether a code is the nearest one to `value`, or to one that lies `error` beside it.
bool is_rounded(bool fp8, unsigned code, double value, double error) {
  const auto encode = [&](double exact) {
    return fp8 ? reference::encode(reference::kE4M3Format, exact, reference::Overflow::kSaturate)
               : reference::encode(reference::kBF16Format, exact);
  };
  const auto& format = fp8 ? reference::kE4M3Format : reference::kBF16Format;
  const double low = reference::decode(format, encode(value - error));
  const double high = reference::decode(format, encode(value + error));
  const double found = reference::decode(format, code);
  return found >= low && found <= high;
}

void check_row(Launch& launch, int token, int head) {
  const Joined row = join(launch, token, head);
  const double factor = launch.fp8 ? 1.0 / Launch::kScale : 1.0;
  int wrong = 0;
  for (int i = 0; i < launch.width; ++i) {
    const auto at = static_cast<std::size_t>(i);
    wrong += is_rounded(launch.fp8, launch.code_of(token, head, i), row.values[at] * factor,
                        row.weighed[at] * factor * 0x1p-18)
                 ? 0
                 : 1;
  }
  CHECK(wrong == 0);
  if (!launch.has_lse) return;
  const double lse = launch.lse[static_cast<std::size_t>(head * launch.tokens + token)];
  CHECK((lse == row.lse || std::abs(lse - row.lse) <= 1e-5));
}

// All rows of a launch, and that nothing else is written.
void check(Launch& launch) {
  const Launch empty = [&] {
    Launch made = launch;
    made.allocate();
    return made;
  }();
  for (int token = 0; token < launch.tokens; ++token) {
    for (int head = 0; head < launch.heads; ++head) {
      CAPTURE(token, head, launch.parts, launch.width, launch.fp8);
      if (launch.is_of_a_sequence(token)) {
        check_row(launch, token, head);
        continue;
      }
      bool same = launch.lse[static_cast<std::size_t>(head * launch.tokens + token)] == 77.0F;
      for (int i = 0; i < launch.width; ++i) {
        same = same && launch.code_of(token, head, i) == empty.code_of(token, head, i);
      }
      CHECK(same);
    }
    // Between rows.
    for (int head = 0; head < launch.heads; ++head) {
      for (int i = launch.width; i < launch.width + Launch::kGap; ++i) {
        CHECK(launch.code_of(token, head, i) == empty.code_of(token, head, i));
      }
    }
  }
}

Launch random_launch(std::mt19937_64& random, int width, bool fp8, int parts) {
  Launch made;
  made.parts = parts;
  made.width = width;
  made.fp8 = fp8;
  made.heads = 1 + static_cast<int>(random() % 4);
  made.tokens = 5;
  // Token 0 is of no sequence, nor is the last one; a sequence without tokens.
  made.cu_seqlens_q = {1, 2, 2, 4};
  if (random() % 2 == 0) made.seqused_q = {1, 0, 1};
  made.has_lse = random() % 4 != 0;
  made.allocate();
  for (int token = 0; token < made.tokens; ++token) {
    if (!made.is_of_a_sequence(token)) continue;
    for (int head = 0; head < made.heads; ++head) made.fill(random, token, head);
  }
  return made;
}

template <int WIDTH, bool FP8>
void check_width(std::mt19937_64& random, const std::vector<int>& counts) {
  for (const int parts : counts) {
    Launch launch = random_launch(random, WIDTH, FP8, parts);
    Launch same = launch;
    launch.run_as<WIDTH, FP8, 256>();
    check(launch);
    same.run_as<WIDTH, FP8, 512>();
    CHECK((same.out == launch.out));
    CHECK((same.lse == launch.lse));
  }
}

TEST_CASE("parts of attention are joined by their weights", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_width<128, false>(random, {1, 2, 3, 16, 17, 33, 65, 128});
  check_width<128, true>(random, {5, 40});
  check_width<64, false>(random, {7, 100});
  check_width<64, true>(random, {2});
  check_width<96, false>(random, {4, 5, 128});
  check_width<96, true>(random, {31});
  check_width<192, false>(random, {9, 70});
  check_width<256, false>(random, {8, 9, 128});
  check_width<256, true>(random, {3});
}

// One row, all of whose elements are 1 in parts that are read.
Launch one_row(const std::vector<float>& lses, bool fp8) {
  Launch made;
  made.parts = static_cast<int>(lses.size());
  made.width = 128;
  made.fp8 = fp8;
  made.cu_seqlens_q = {0, 1};
  made.allocate();
  for (int part = 0; part < made.parts; ++part) {
    made.lse_of(part, 0, 0) = lses[static_cast<std::size_t>(part)];
    if (lses[static_cast<std::size_t>(part)] == -kInfinity) continue;
    for (int i = 0; i < made.width; ++i) made.value(part, 0, 0, i) = 1;
  }
  if (fp8) {
    made.run_as<128, true, 256>();
  } else {
    made.run_as<128, false, 256>();
  }
  return made;
}

TEST_CASE("a row of attention whose parts have no keys is 0", "[kernels][emulation]") {
  for (const int parts : {1, 2, 40, 128}) {
    for (const bool fp8 : {false, true}) {
      const std::vector<float> lses(static_cast<std::size_t>(parts), -kInfinity);
      const Launch row = one_row(lses, fp8);
      CAPTURE(parts, fp8);
      for (int i = 0; i < row.width; ++i) CHECK(row.code_of(0, 0, i) == 0);
      CHECK(row.lse[0] == -kInfinity);
    }
  }
}

TEST_CASE("a part of attention with a NaN makes the row NaN", "[kernels][emulation]") {
  for (const auto& lses :
       {std::vector<float>{kNan}, {1, kNan}, {kNan, -kInfinity}, {-kInfinity, 3, 5, kNan, 2}}) {
    CAPTURE(lses);
    const Launch row = one_row(lses, false);
    const Launch small = one_row(lses, true);
    for (int i = 0; i < row.width; ++i) {
      CHECK(std::isnan(reference::decode(reference::kBF16Format, row.code_of(0, 0, i))));
      CHECK(small.code_of(0, 0, i) == 0x7E);
    }
    CHECK(std::isnan(row.lse[0]));
  }
}

TEST_CASE("LSEs of attention far apart or large keep the largest part", "[kernels][emulation]") {
  for (const auto& [lses, expected] : {std::pair{std::vector<float>{-3e38F, 3e38F}, 3e38F},
                                       {{1e4F, 1e4F - 1000}, 1e4F},
                                       {{-5e4F, -kInfinity}, -5e4F},
                                       {{-200, -400, -300}, -200.0F}}) {
    CAPTURE(lses);
    const Launch row = one_row(lses, false);
    CHECK(row.code_of(0, 0, 5) == 0x3F80);
    CHECK(row.lse[0] == expected);
  }
}

// More sequences than a warp looks at in one step, most of them empty.
TEST_CASE("tokens of attention's parts find their sequence among many", "[kernels][emulation]") {
  for (const int sequences : {31, 256, 257, 700, 70'000}) {
    Launch made;
    made.parts = 2;
    made.tokens = 12;
    made.cu_seqlens_q.assign(1, 1);
    made.seqused_q.assign(static_cast<std::size_t>(sequences), 0);
    for (int token = 1; token < 11; ++token) {
      // A sequence of its own, which has every other one.
      const auto sequence = static_cast<std::size_t>(sequences * token / 11);
      made.cu_seqlens_q.resize(std::max(sequence + 1, made.cu_seqlens_q.size()), token);
      made.seqused_q[sequence] = token % 2;
    }
    made.cu_seqlens_q.resize(static_cast<std::size_t>(sequences) + 1, 11);
    made.allocate();
    for (int token = 0; token < made.tokens; ++token) {
      for (int part = 0; part < made.parts; ++part) {
        made.lse_of(part, token, 0) = 1;
        for (int i = 0; i < made.width; ++i) made.value(part, token, 0, i) = 1;
      }
    }
    for (const bool is_used : {true, false}) {
      if (!is_used) made.seqused_q.clear();
      std::fill(made.out.begin(), made.out.end(), Launch::kPoison);
      std::fill(made.lse.begin(), made.lse.end(), 77.0F);
      made.run_as<64, false, 256>();
      for (int token = 0; token < made.tokens; ++token) {
        CAPTURE(sequences, is_used, token);
        const bool is_one = made.is_of_a_sequence(token);
        CHECK(made.code_of(token, 0, 0) == (is_one ? 0x3F80 : Launch::kPoison));
        CHECK((made.lse[static_cast<std::size_t>(token)] != 77.0F) == is_one);
      }
    }
  }
}

}  // namespace
}  // namespace jit::test
