// What must not change a bit of fp8_attention: repetition, workers and counters, packed heads, the
// sequences beside one, strides, and how the same keys are handed over.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_plan.hpp"

namespace jit::test {
namespace {

constexpr std::uint8_t kNaN = 0x7F;

Fp8Case ragged_case(const Fp8Dims& dims = {128, 128}) {
  Fp8Case fp8;
  fp8.query_lengths = {300, 0, 129, 64, 517, 1};
  fp8.key_lengths = {301, 40, 129, 1000, 517, 130};
  fp8.heads = 16;
  fp8.kv_heads = 2;
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  fp8.factors = Fp8Factors::kOrdinary;
  fp8.seed = run_seed();
  return fp8;
}

Fp8Case decode_case(const Fp8Dims& dims = {128, 128}) {
  Fp8Case fp8 = ragged_case(dims);
  fp8.query_lengths = {1, 0, 1, 4, 1, 2};
  fp8.key_lengths = {3001, 40, 129, 1000, 1, 0};
  return fp8;
}

Fp8Case in_parts(Fp8Case fp8) {
  fp8.num_splits = 3;
  return fp8;
}

Fp8Case paged(Fp8Case fp8, std::int64_t page_size) {
  fp8.page_size = page_size;
  return fp8;
}

// Pairs of calls whose results must have the same bits.
class SameBits {
 public:
  void expect(const Fp8Case& a, const Fp8Case& b) { pairs_.push_back({a, b}); }
  void check() const {
    std::vector<Fp8Case> all;
    for (const Pair& pair : pairs_) all.insert(all.end(), {pair.a, pair.b});
    warm_up(all);
    const Pair* last = nullptr;
    Fp8Bits expected;
    for (const Pair& pair : pairs_) {
      if (last == nullptr || last->a.text() != pair.a.text()) expected = bits_of(pair.a);
      last = &pair;
      CAPTURE(pair.a.text(), pair.b.text());
      CHECK(keys_of_tile(pair.a) == keys_of_tile(pair.b));
      const Fp8Inputs inputs = make_inputs(pair.b);
      const Fp8Outcome outcome = run_fp8(pair.b, inputs);
      CHECK(judge_surroundings(pair.b, inputs, outcome) == "");
      CHECK(other_rows(pair.a, expected, pair.b, bits_of(outcome)) == 0);
    }
  }

 private:
  struct Pair {
    Fp8Case a;
    Fp8Case b;
  };
  std::vector<Pair> pairs_;
};

void expect_repetition(SameBits& same, const Fp8Case& fp8) {
  Fp8Case other = fp8;
  for (int i = 1; i < 20; ++i) {
    other.counters = i % 2 == 0;
    same.expect(fp8, other);
  }
  for (const std::int64_t workers : {1, 2, 7, 131, 133, 1000}) {
    other.workers = workers;
    for (const bool counters : {false, true}) {
      other.counters = counters;
      same.expect(fp8, other);
    }
  }
}

TEST_CASE("neither repetition, workers nor counters change a bit of fp8_attention",
          "[fp8_attention][bits]") {
  SameBits same;
  for (const Fp8Dims& dims : kFp8Dims) {
    expect_repetition(same, ragged_case(dims));
    expect_repetition(same, decode_case(dims));
  }
  expect_repetition(same, in_parts(ragged_case()));
  expect_repetition(same, in_parts(decode_case()));
  expect_repetition(same, in_parts(paged(decode_case(), 16)));
  expect_repetition(same, paged(ragged_case(), 48));
  same.check();
}

TEST_CASE("packed heads do not change a bit of fp8_attention", "[fp8_attention][bits]") {
  SameBits same;
  for (const Fp8Dims& dims : kFp8Dims) {
    Fp8Case fp8 = ragged_case(dims);
    fp8.kv_heads = 1;
    fp8.pack_gqa = 1;
    if (dims.qk == 96 || dims.qk == 192) fp8.window_left = 100;
    for (const std::int64_t pack : {0, 4, 8, 16}) {
      Fp8Case other = fp8;
      other.pack_gqa = pack;
      same.expect(fp8, other);
    }
  }
  Fp8Case decode = decode_case();
  decode.invariant = true;
  decode.pack_gqa = 1;
  for (const std::int64_t pack : {0, 4, 8}) {
    Fp8Case other = decode;
    other.pack_gqa = pack;
    same.expect(decode, other);
  }
  same.check();
}

// ---- Neighbours ----

void spoil(const HeadsExtent& extent, std::vector<std::uint8_t>& data, std::int64_t token) {
  for (std::int64_t head = 0; head < extent.heads; ++head) {
    std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(extent.at(token, head)), extent.dim,
                kNaN);
  }
}

// Every token of the other sequences is NaN.
Fp8Inputs with_spoilt_neighbours(const Fp8Case& fp8, Fp8Inputs inputs, std::size_t sequence) {
  for (std::size_t b = 0; b < fp8.query_lengths.size(); ++b) {
    if (b == sequence) continue;
    for (std::int64_t i = 0; i < fp8.query_lengths[b]; ++i) {
      spoil(fp8.queries(), inputs.q, inputs.cu_seqlens_q[b] + i);
    }
    for (std::int64_t j = 0; j < fp8.lengths_of_keys()[b]; ++j) {
      const std::int64_t place = place_of_key(fp8, inputs, static_cast<std::int64_t>(b), j);
      spoil(fp8.keys(), inputs.k, place);
      spoil(fp8.values(), inputs.v, place);
    }
  }
  return inputs;
}

// A call for one of the sequences alone, by the same kernel and in the same parts.
Fp8Case alone(const Fp8Case& fp8, std::size_t sequence) {
  Fp8Case one = fp8;
  one.query_lengths = {fp8.query_lengths[sequence]};
  one.key_lengths = {fp8.lengths_of_keys()[sequence]};
  one.query_bound = fp8.longest_query();
  one.key_bound = fp8.longest_key();
  // What is told is taken for no more than there are tokens.
  one.outside = std::max(one.query_bound, one.key_bound);
  one.first_sequence = fp8.first_sequence + static_cast<std::int64_t>(sequence);
  return one;
}

void check_neighbours(const Fp8Case& fp8) {
  const Fp8Inputs inputs = make_inputs(fp8);
  const Fp8Bits expected = bits_of(fp8, inputs);
  for (std::size_t b = 0; b < fp8.query_lengths.size(); ++b) {
    CAPTURE(fp8.text(), b);
    const std::int64_t first = inputs.cu_seqlens_q[b];
    const std::int64_t tokens = fp8.query_lengths[b];
    const Fp8Inputs spoilt = with_spoilt_neighbours(fp8, inputs, b);
    const Fp8Outcome outcome = run_fp8(fp8, spoilt);
    CHECK(judge_surroundings(fp8, spoilt, outcome) == "");
    CHECK(other_rows({fp8, bits_of(outcome), first}, {fp8, expected, first}, tokens) == 0);
    const Fp8Case one = alone(fp8, b);
    if (tokens == 0) continue;
    CHECK(other_rows({one, bits_of(one), one.outside}, {fp8, expected, first}, tokens) == 0);
  }
}

TEST_CASE("sequences of fp8_attention know nothing of each other", "[fp8_attention][bits]") {
  std::vector<Fp8Case> cases;
  for (const Fp8Dims& dims : kFp8Dims) {
    cases.push_back(ragged_case(dims));
    cases.push_back(paged(decode_case(dims), 16));
  }
  for (const std::int64_t page_size : {1, 48, 128}) {
    cases.push_back(paged(ragged_case(), page_size));
  }
  Fp8Case whole = ragged_case();
  whole.causal = false;
  cases.insert(cases.end(), {whole, in_parts(whole), in_parts(decode_case())});
  whole.window_left = 70;
  whole.window_right = 30;
  cases.push_back(whole);
  warm_up(cases);
  for (const Fp8Case& fp8 : cases) check_neighbours(fp8);
}

// ---- The same operands, handed over otherwise ----

TEST_CASE("pages do not change a bit of fp8_attention", "[fp8_attention][bits]") {
  SameBits same;
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const std::int64_t size : {least_page_size(dims), std::int64_t{16}, std::int64_t{256}}) {
      same.expect(ragged_case(dims), paged(ragged_case(dims), size));
    }
  }
  for (const Fp8Case& fp8 : {decode_case(), in_parts(decode_case()), ragged_case()}) {
    for (const std::int64_t size : {1, 4, 7, 16, 48, 64, 128, 256}) {
      for (const Fp8Layout layout : {Fp8Layout::kPacked, Fp8Layout::kHeadMajor}) {
        Fp8Case other = paged(fp8, size);
        other.layout = layout;
        same.expect(fp8, other);
      }
    }
  }
  same.check();
}

TEST_CASE("strides, gaps and lengths given apart do not change a bit of fp8_attention",
          "[fp8_attention][bits]") {
  SameBits same;
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.1F}}) {
      Fp8Case packed = ragged_case(dims);
      packed.scale = scale;
      for (std::uint8_t layout = 0; layout < kFp8Layouts; ++layout) {
        Fp8Case other = packed;
        other.layout = static_cast<Fp8Layout>(layout);
        other.query_slack = layout == 0 ? 130 : 1;
        other.key_slack = layout == 2 ? -1 : 77;
        other.outside = 5;
        same.expect(packed, other);
      }
    }
  }
  same.check();
}

TEST_CASE("a window that hides nothing and a mask that hides nothing change no bit",
          "[fp8_attention][bits]") {
  SameBits same;
  Fp8Case whole = decode_case();
  whole.query_lengths = {1, 1, 1, 1, 1, 1};
  whole.key_lengths = {1, 2, 127, 128, 129, 1000};
  for (const bool causal : {true, false}) {
    for (const std::int64_t window : {-1, 5000}) {
      Fp8Case other = whole;
      other.causal = causal;
      other.window_left = window;
      same.expect(whole, other);
    }
  }
  same.check();
}

TEST_CASE("the type of output changes no bit of the LSE of fp8_attention",
          "[fp8_attention][bits]") {
  for (const Fp8Case& fp8 : {ragged_case(), decode_case(), in_parts(ragged_case())}) {
    Fp8Case rounded = fp8;
    rounded.scale = 0.1F;
    CAPTURE(fp8.text());
    CHECK(bits_of(rounded).lse == bits_of(fp8).lse);
  }
}

// ---- Decode and prefill ----

// Lengths around every multiple of 32, those of the field's complaint, and long ones.
std::vector<std::int32_t> lengths_of_contexts() {
  std::vector<std::int32_t> lengths;
  for (std::int32_t length = 88; length <= 256; ++length) lengths.push_back(length);
  lengths.insert(lengths.end(), {1024, 4096, 5000});
  return lengths;
}

// The same last query of each context among `queries`.
Fp8Case contexts(const Fp8Dims& dims, std::int32_t queries) {
  Fp8Case fp8;
  fp8.key_lengths = lengths_of_contexts();
  fp8.query_lengths.assign(fp8.key_lengths.size(), queries);
  fp8.heads = 8;
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  fp8.invariant = true;
  fp8.seed = run_seed() + 3;
  return fp8;
}

// Whose last `tokens` of each sequence differ.
int other_last_rows(const Fp8Case& a, const Fp8Bits& a_bits, const Fp8Case& b) {
  const Fp8Bits b_bits = bits_of(b);
  const std::int32_t tokens = b.query_lengths[0];
  int others = 0;
  for (std::int64_t i = 0; i < a.sequences(); ++i) {
    const std::int64_t last = (i + 1) * a.query_lengths[0] - tokens;
    others += other_rows({a, a_bits, last}, {b, b_bits, i * tokens}, tokens);
  }
  return others;
}

TEST_CASE("invariant decode gives the bits of prefill at every length", "[fp8_attention][bits]") {
  std::vector<std::vector<Fp8Case>> rounds;
  std::vector<Fp8Case> all;
  for (const Fp8Dims& dims : kFp8Dims) {
    Fp8Case unpacked = contexts(dims, 1);
    unpacked.pack_gqa = 1;
    rounds.push_back({contexts(dims, 80), contexts(dims, 1), contexts(dims, 8),
                      paged(contexts(dims, 1), 16), unpacked});
    all.insert(all.end(), rounds.back().begin(), rounds.back().end());
  }
  warm_up(all);
  for (const std::vector<Fp8Case>& round : rounds) {
    const Fp8Bits expected = bits_of(round[0]);
    for (std::size_t i = 1; i < round.size(); ++i) {
      CAPTURE(round[i].text());
      CHECK(other_last_rows(round[0], expected, round[i]) == 0);
    }
  }
}

}  // namespace
}  // namespace jit::test
