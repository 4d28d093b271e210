// That the check of mla_prefill finds what is wrong: results that were changed, and right results
// judged by operands that are not theirs, as those of a kernel that reads or masks amiss.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

// A case, its operands and what came out: all of it may be tampered with.
struct Trial {
  MlaCase mla;
  MlaInputs inputs;
  MlaOutcome outcome;
};

struct Sabotage {
  const char* name;
  std::function<void(Trial&)> apply;
};

constexpr std::int64_t kToken = 100;  // sees 101 keys
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Two sequences of several tiles, all operands there are, padding between everything.
MlaCase control_case() {
  MlaCase mla;
  mla.query_lengths = {150, 77};
  mla.heads = 4;
  mla.kv_heads = 2;
  mla.rope_apart = true;
  mla.counters = true;
  mla.layout = MlaLayout::kPadded;
  mla.outside = 4;
  mla.seed = run_seed();
  return mla;
}

void store_row(Trial& trial, std::int64_t token, std::int64_t head,
               const std::function<double(double)>& change) {
  std::byte* const data = trial.outcome.output.payload().data();
  const HeadsExtent extent = trial.mla.output();
  const DType type = trial.mla.output_type();
  const std::size_t first = extent.at(trial.mla.outside + token, head);
  for (std::size_t i = first; i < first + static_cast<std::size_t>(extent.dim); ++i) {
    reference::store_element(type, data, i, change(reference::load_element(type, data, i)));
  }
}

void change_lse(Trial& trial, const std::function<float(float)>& change) {
  const std::int64_t index = trial.mla.query_tokens() + trial.mla.outside + kToken;  // of head 1
  std::byte* const place = trial.outcome.lse.payload().data() + index * 4;
  float lse = 0;
  std::memcpy(&lse, place, sizeof(lse));
  lse = change(lse);
  std::memcpy(place, &lse, sizeof(lse));
}

template <class T>
void swap_rows(std::span<T> data, std::size_t a, std::size_t b, std::size_t count) {
  std::swap_ranges(data.begin() + static_cast<std::ptrdiff_t>(a),
                   data.begin() + static_cast<std::ptrdiff_t>(a + count),
                   data.begin() + static_cast<std::ptrdiff_t>(b));
}

void swap_output(Trial& trial, std::size_t a, std::size_t b) {
  const std::size_t element = bytes_of(trial.mla.output_type());
  swap_rows(trial.outcome.output.payload(), a * element, b * element,
            static_cast<std::size_t>(trial.mla.head_dim_v) * element);
}

// The operands are what the device had as well: only the result is off.
void accept_inputs(Trial& trial) {
  const auto copy = [](const auto& from, Image& to) {
    const auto bytes = std::as_bytes(std::span(from));
    std::copy(bytes.begin(), bytes.end(), to.payload().begin());
  };
  copy(trial.inputs.q, trial.outcome.q);
  copy(trial.inputs.k, trial.outcome.k);
  copy(trial.inputs.v, trial.outcome.v);
  copy(trial.inputs.k_rope, trial.outcome.k_rope);
  copy(trial.inputs.cu_seqlens_q, trial.outcome.cu_seqlens_q);
  copy(trial.inputs.cu_seqlens_k, trial.outcome.cu_seqlens_k);
}

// Exchanges two rows of an operand.
Sabotage exchanged(const char* name, std::vector<std::uint16_t> MlaInputs::*operand,
                   HeadsExtent (MlaCase::*extent)() const noexcept, std::int64_t tokens,
                   std::int64_t heads) {
  return {name, [=](Trial& trial) {
            const HeadsExtent rows = (trial.mla.*extent)();
            const std::int64_t token = trial.mla.outside + kToken - 60;
            swap_rows(std::span(trial.inputs.*operand), rows.at(token, 0),
                      rows.at(token + tokens, heads), static_cast<std::size_t>(rows.dim));
            accept_inputs(trial);
          }};
}

std::vector<Sabotage> other_operands() {
  std::vector<Sabotage> all{
      exchanged("two queries exchanged", &MlaInputs::q, &MlaCase::queries, 1, 0),
      exchanged("two heads of a query exchanged", &MlaInputs::q, &MlaCase::queries, 0, 1),
      exchanged("two keys exchanged", &MlaInputs::k, &MlaCase::keys, 1, 0),
      exchanged("two heads of a key exchanged", &MlaInputs::k, &MlaCase::keys, 0, 1),
      exchanged("two values exchanged", &MlaInputs::v, &MlaCase::values, 1, 0),
      exchanged("two heads of a value exchanged", &MlaInputs::v, &MlaCase::values, 0, 1),
      exchanged("the rope parts of two keys exchanged", &MlaInputs::k_rope, &MlaCase::rope, 1, 0),
  };
  all.push_back({"no mask", [](Trial& trial) { trial.mla.causal = false; }});
  all.push_back({"a key of the first sequence counted to the second", [](Trial& trial) {
                   --trial.inputs.cu_seqlens_k[1];
                   // Only with lengths of their own do keys have other sequences.
                   accept_inputs(trial);
                 }});
  all.push_back({"a softmax scale 2 % larger", [](Trial& trial) {
                   trial.mla.softmax_scale = static_cast<float>(trial.mla.effective_scale() * 1.02);
                 }});
  all.push_back({"heads shared otherwise", [](Trial& trial) {
                   // Heads 1 and 2 of the queries change places, those of the results do not.
                   for (std::int64_t t = 0; t < trial.mla.query_tokens(); ++t) {
                     const HeadsExtent rows = trial.mla.queries();
                     swap_rows(std::span(trial.inputs.q), rows.at(t, 1), rows.at(t, 2),
                               static_cast<std::size_t>(rows.dim));
                     swap_output(trial, trial.mla.output().at(t, 1), trial.mla.output().at(t, 2));
                   }
                   accept_inputs(trial);
                 }});
  return all;
}

std::vector<Sabotage> other_results() {
  return {
      {"a row a little too large",
       [](Trial& t) { store_row(t, kToken, 1, [](double x) { return x * 1.13; }); }},
      {"a row 0", [](Trial& t) { store_row(t, kToken, 1, [](double) { return 0.0; }); }},
      {"the first row a step away",
       [](Trial& t) { store_row(t, 0, 1, [](double x) { return x * 1.13; }); }},
      {"a NaN in the last row",
       [](Trial& t) { store_row(t, 226, 3, [](double) { return kNaN; }); }},
      {"two rows exchanged",
       [](Trial& t) {
         const std::int64_t token = t.mla.outside + kToken;
         swap_output(t, t.mla.output().at(token, 1), t.mla.output().at(token + 1, 1));
       }},
      {"two heads exchanged",
       [](Trial& t) {
         const std::int64_t token = t.mla.outside + kToken;
         swap_output(t, t.mla.output().at(token, 0), t.mla.output().at(token, 1));
       }},
      {"the last row not written",
       [](Trial& t) {
         const std::size_t element = bytes_of(t.mla.output_type());
         const std::size_t first = t.mla.output().at(t.mla.outside + 226, 3) * element;
         std::fill_n(t.outcome.output.payload().begin() + static_cast<std::ptrdiff_t>(first),
                     t.mla.head_dim_v * static_cast<std::int64_t>(element), t.mla.poison);
       }},
      {"an LSE off by 1e-3", [](Trial& t) { change_lse(t, [](float x) { return x + 1e-3F; }); }},
      {"an LSE in base 2", [](Trial& t) { change_lse(t, [](float x) { return x * 1.4427F; }); }},
      {"an LSE -inf",
       [](Trial& t) {
         change_lse(t, [](float) { return -std::numeric_limits<float>::infinity(); });
       }},
  };
}

std::vector<Sabotage> other_memory() {
  std::vector<Sabotage> all;
  const auto add = [&](const char* name, Image MlaOutcome::*image) {
    all.push_back(
        {name, [image](Trial& trial) { (trial.outcome.*image).payload().back() ^= std::byte{1}; }});
  };
  add("q written", &MlaOutcome::q);
  add("k written", &MlaOutcome::k);
  add("v written", &MlaOutcome::v);
  add("the rope part written", &MlaOutcome::k_rope);
  add("lengths written", &MlaOutcome::cu_seqlens_q);
  add("a token of no sequence written", &MlaOutcome::output);
  add("an LSE of no sequence written", &MlaOutcome::lse);
  add("a counter left", &MlaOutcome::counters);
  all.push_back({"the padding of a head written", [](Trial& t) {
                   const std::size_t after = t.mla.output().at(t.mla.outside + kToken, 1) +
                                             static_cast<std::size_t>(t.mla.head_dim_v);
                   t.outcome.output.payload()[after * bytes_of(t.mla.output_type())] ^=
                       std::byte{1};
                 }});
  all.push_back({"one byte past the output written", [](Trial& t) {
                   Image& output = t.outcome.output;
                   output.bytes[output.bytes.size() - kGuardBytes] ^= std::byte{1};
                 }});
  return all;
}

void check_sabotages(const MlaCase& mla, const std::vector<Sabotage>& sabotages) {
  const MlaInputs inputs = make_inputs(mla);
  const MlaOutcome right = run_mla(mla_runtime(), mla, inputs);
  MlaJudging judging;
  judging.threads = 0;
  CAPTURE(mla.text());
  CHECK(judge(mla, inputs, right, judging).wrong == "");
  for (const Sabotage& sabotage : sabotages) {
    CAPTURE(sabotage.name);
    Trial trial{mla, inputs, right};
    sabotage.apply(trial);
    CHECK(judge(trial.mla, trial.inputs, trial.outcome, judging).wrong != "");
  }
}

TEST_CASE("the check of mla_prefill finds every kind of wrong result", "[mla_prefill][control]") {
  std::vector<MlaCase> cases(5, control_case());
  cases[1].type = f16;
  cases[2].type = f32;
  cases[3].scale = 0.01F;
  cases[4].group = 64;
  for (const MlaCase& mla : cases) {
    check_sabotages(mla, other_operands());
    check_sabotages(mla, other_results());
    check_sabotages(mla, other_memory());
  }
}

TEST_CASE("the check of mla_prefill finds wrong scales", "[mla_prefill][control]") {
  MlaCase mla = control_case();
  mla.scale = 0.01F;
  check_sabotages(mla, {{"a scale 3 % larger", [](Trial& t) { t.mla.scale = 0.0103F; }}});
  mla.scale.reset();
  mla.group = 64;
  mla.scale_layout = ScaleLayout::kAlignedColumn;
  const auto scale_at = [](const Trial& t, std::int64_t group) {
    return (t.mla.outside + kToken + group * t.mla.scale_group_stride()) * 4;
  };
  check_sabotages(
      mla, {{"the scales of two groups exchanged",
             [&](Trial& t) {
               swap_rows(t.outcome.scales.payload(), static_cast<std::size_t>(scale_at(t, 0)),
                         static_cast<std::size_t>(scale_at(t, 1)), 4);
             }},
            {"a scale not written",
             [&](Trial& t) {
               std::fill_n(t.outcome.scales.payload().begin() + scale_at(t, 2), 4, t.mla.poison);
             }},
            {"a scale of no sequence written",
             [&](Trial& t) { t.outcome.scales.payload()[0] ^= std::byte{1}; }}});
}

}  // namespace
}  // namespace jit::test
