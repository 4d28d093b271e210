// What must not change a bit of mla_prefill: repetition, workers and counters, the sequences beside
// one, strides, and how the same keys are handed over. And what types of output have in common.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "gpu/mla_prefill_bits.hpp"
#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"

namespace jit::test {
namespace {

constexpr std::uint16_t kNaN = 0x7FFF;

// 1011 tokens: many rows, or with 3 heads few.
MlaCase ragged_case(std::int64_t heads = 17) {
  MlaCase mla;
  mla.query_lengths = {300, 0, 129, 64, 517, 1};
  mla.heads = mla.kv_heads = heads;
  mla.seed = run_seed();
  return mla;
}

std::vector<MlaCase> cases_of_all_outputs(std::int64_t heads = 17) {
  std::vector<MlaCase> cases(8, ragged_case(heads));
  cases[1].type = f16;
  cases[2].type = f32;
  cases[3].scale = 0.0625F;
  cases[4].group = 64;
  cases[5].group = 128;
  cases[6].group = 64;
  cases[7].group = 128;
  cases[6].ue8m0 = cases[7].ue8m0 = true;
  return cases;
}

void check_repetition(const MlaCase& mla) {
  const MlaInputs inputs = make_inputs(mla);
  const MlaBits expected = bits_of(mla_runtime(), mla, inputs);
  CAPTURE(mla.text());
  MlaCase other = mla;
  for (int i = 1; i < 20; ++i) {
    other.counters = i % 2 == 0;
    CHECK(bits_of(mla_runtime(), other, inputs) == expected);
  }
  for (const std::int64_t workers : {1, 2, 7, 131, 133, 1000}) {
    other.workers = workers;
    for (const bool counters : {false, true}) {
      other.counters = counters;
      CAPTURE(workers, counters);
      CHECK(bits_of(mla_runtime(), other, inputs) == expected);
    }
  }
}

TEST_CASE("neither repetition, workers nor counters change a bit of mla_prefill",
          "[mla_prefill][bits]") {
  for (const std::int64_t heads : {17, 3}) {
    for (const MlaCase& mla : cases_of_all_outputs(heads)) check_repetition(mla);
  }
}

// ---- Types of output ----

TEST_CASE("all outputs of mla_prefill are one fp32 result, rounded once, and one LSE",
          "[mla_prefill][bits]") {
  for (const bool causal : {true, false}) {
    std::vector<MlaCase> cases = cases_of_all_outputs(causal ? 17 : 3);
    for (MlaCase& mla : cases) mla.causal = causal;
    const MlaInputs inputs = make_inputs(cases[2]);
    const MlaBits exact = bits_of(mla_runtime(), cases[2], inputs);
    for (const MlaCase& mla : cases) {
      const MlaBits bits = bits_of(mla_runtime(), mla, inputs);
      CAPTURE(mla.text());
      CHECK(bits.lse == exact.lse);
      // A power of two, by which no product is rounded.
      const float inverse_scale = mla.scale ? 1 / *mla.scale : 1.0F;
      if (mla.group == 0) {
        CHECK(bits.output == rounded_output(exact, mla.output_type(), inverse_scale));
      }
    }
  }
}

TEST_CASE("codes and scales of groups are those of the fp32 output of mla_prefill",
          "[mla_prefill][bits]") {
  for (const MlaCase& mla : cases_of_all_outputs()) {
    if (mla.group == 0) continue;
    MlaCase plain = ragged_case();
    plain.type = f32;
    const MlaInputs inputs = make_inputs(mla);
    const MlaBits expected = grouped_output(mla, bits_of(mla_runtime(), plain, inputs));
    const MlaBits found = bits_of(mla_runtime(), mla, inputs);
    CAPTURE(mla.text());
    CHECK(found.scales == expected.scales);
    CHECK(found.output == expected.output);
  }
}

// ---- Neighbours ----

void spoil(const HeadsExtent& extent, std::vector<std::uint16_t>& data, std::int64_t first,
           std::int64_t last) {
  for (std::int64_t token = first; token < last; ++token) {
    for (std::int64_t head = 0; head < extent.heads; ++head) {
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(extent.at(token, head)), extent.dim,
                  kNaN);
    }
  }
}

// Every token of the other sequences is NaN.
MlaInputs with_spoilt_neighbours(const MlaCase& mla, MlaInputs inputs, std::size_t sequence) {
  const auto around = [&](const HeadsExtent& extent, std::vector<std::uint16_t>& data,
                          const std::vector<std::int32_t>& cu_seqlens) {
    spoil(extent, data, 0, cu_seqlens[sequence]);
    spoil(extent, data, cu_seqlens[sequence + 1], extent.tokens);
  };
  around(mla.queries(), inputs.q, inputs.cu_seqlens_q);
  around(mla.keys(), inputs.k, inputs.cu_seqlens_k);
  around(mla.values(), inputs.v, inputs.cu_seqlens_k);
  around(mla.rope(), inputs.k_rope, inputs.cu_seqlens_k);
  return inputs;
}

// A launch for one of the sequences alone, where it lies.
MlaBits bits_of_one(const MlaCase& mla, MlaInputs inputs, std::size_t sequence) {
  inputs.cu_seqlens_q = {inputs.cu_seqlens_q[sequence], inputs.cu_seqlens_q[sequence + 1]};
  inputs.cu_seqlens_k = {inputs.cu_seqlens_k[sequence], inputs.cu_seqlens_k[sequence + 1]};
  const MlaDevice device(driver(), mla, inputs);
  kernels::MlaPrefillArgs args = device.args();
  args.num_sequences = 1;
  const StreamOwner stream(driver());
  kernels::mla_prefill(mla_runtime(), args, stream.get());
  stream.synchronize();
  const MlaOutcome outcome = device.download();
  // Of no other token anything is written.
  CHECK(judge_surroundings(mla, inputs, outcome) == "");
  return bits_of(outcome);
}

TEST_CASE("sequences of mla_prefill know nothing of each other", "[mla_prefill][bits]") {
  for (const bool rope_apart : {false, true}) {
    for (const bool causal : {true, false}) {
      MlaCase mla = ragged_case();
      mla.causal = causal;
      mla.rope_apart = rope_apart;
      mla.key_lengths = {301, 40, 129, 1000, 517, 130};
      const MlaInputs inputs = make_inputs(mla);
      const MlaBits expected = bits_of(mla_runtime(), mla, inputs);
      for (std::size_t i = 0; i < mla.query_lengths.size(); ++i) {
        CAPTURE(mla.text(), i);
        const MlaInputs spoilt = with_spoilt_neighbours(mla, inputs, i);
        const std::int64_t first = inputs.cu_seqlens_q[i];
        const std::int64_t last = inputs.cu_seqlens_q[i + 1];
        CHECK(other_rows({mla, bits_of(mla_runtime(), mla, spoilt)}, {mla, expected}, first,
                         last) == 0);
        CHECK(other_rows({mla, bits_of_one(mla, spoilt, i)}, {mla, expected}, first, last) == 0);
      }
    }
  }
}

// ---- The same operands, handed over otherwise ----

TEST_CASE("strides do not change a bit of mla_prefill", "[mla_prefill][bits]") {
  for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.1F}}) {
    for (const bool rope_apart : {false, true}) {
      MlaCase packed = ragged_case();
      packed.scale = scale;
      packed.rope_apart = rope_apart;
      const MlaBits expected = bits_of(mla_runtime(), packed, make_inputs(packed));
      for (std::uint8_t layout = 1; layout < kMlaLayouts; ++layout) {
        MlaCase other = packed;
        other.layout = static_cast<MlaLayout>(layout);
        CAPTURE(other.text());
        const MlaBits found = bits_of(mla_runtime(), other, make_inputs(other));
        CHECK(other_rows({packed, expected}, {other, found}) == 0);
      }
    }
  }
}

void copy_row(const HeadsExtent& from_extent, const std::vector<std::uint16_t>& from,
              std::size_t from_at, std::vector<std::uint16_t>& to, std::size_t to_at) {
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(from_at), from_extent.dim,
              to.begin() + static_cast<std::ptrdiff_t>(to_at));
}

TEST_CASE("the rope part of keys given apart is as good as in every key, bit for bit",
          "[mla_prefill][bits]") {
  for (const std::int64_t dim : {192, 128}) {
    MlaCase apart = ragged_case();
    apart.head_dim = dim;
    apart.rope_apart = true;
    const MlaInputs inputs = make_inputs(apart);
    MlaCase whole = apart;
    whole.rope_apart = false;
    MlaInputs joined = make_inputs(whole);
    joined.q = inputs.q;
    joined.v = inputs.v;
    const HeadsExtent k = apart.keys();
    for (std::int64_t token = 0; token < k.tokens; ++token) {
      for (std::int64_t head = 0; head < k.heads; ++head) {
        const std::size_t to = whole.keys().at(token, head);
        copy_row(k, inputs.k, k.at(token, head), joined.k, to);
        copy_row(apart.rope(), inputs.k_rope, apart.rope().at(token, 0), joined.k,
                 to + static_cast<std::size_t>(k.dim));
      }
    }
    CAPTURE(dim);
    CHECK(bits_of(mla_runtime(), apart, inputs) == bits_of(mla_runtime(), whole, joined));
  }
}

// Each query head with keys and values of its own, which are those of the head it shared.
MlaInputs with_heads_repeated(const MlaCase& shared, const MlaCase& own, const MlaInputs& inputs) {
  MlaInputs repeated = make_inputs(own);
  repeated.q = inputs.q;
  const std::int64_t ratio = shared.heads / shared.kv_heads;
  for (std::int64_t token = 0; token < shared.key_tokens(); ++token) {
    for (std::int64_t head = 0; head < own.heads; ++head) {
      copy_row(shared.keys(), inputs.k, shared.keys().at(token, head / ratio), repeated.k,
               own.keys().at(token, head));
      copy_row(shared.values(), inputs.v, shared.values().at(token, head / ratio), repeated.v,
               own.values().at(token, head));
    }
  }
  return repeated;
}

TEST_CASE("heads that share keys give what heads with copies of them give, bit for bit",
          "[mla_prefill][bits]") {
  for (const std::int64_t kv_heads : {1, 2, 3, 6}) {
    MlaCase shared = ragged_case();
    shared.heads = 6;
    shared.kv_heads = kv_heads;
    MlaCase own = shared;
    own.kv_heads = own.heads;
    const MlaInputs inputs = make_inputs(shared);
    const MlaInputs repeated = with_heads_repeated(shared, own, inputs);
    CAPTURE(kv_heads);
    CHECK(bits_of(mla_runtime(), shared, inputs) == bits_of(mla_runtime(), own, repeated));
  }
}

TEST_CASE("a last query sees all keys, causal or not, bit for bit", "[mla_prefill][bits]") {
  MlaCase causal = ragged_case();
  causal.query_lengths = {1, 1, 1, 1, 1, 1};
  causal.key_lengths = {1, 2, 127, 128, 129, 1000};
  MlaCase whole = causal;
  whole.causal = false;
  const MlaInputs inputs = make_inputs(causal);
  CHECK(bits_of(mla_runtime(), causal, inputs) == bits_of(mla_runtime(), whole, inputs));
}

}  // namespace
}  // namespace jit::test
