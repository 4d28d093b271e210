#include "gpu/fp8_attention_sabotage.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kToken = 100;  // of the first sequence: sees the keys 40 to 140
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::int64_t place_of(const Fp8Launch& trial, std::int64_t sequence, std::int64_t token) {
  return trial.inputs.cu_seqlens_q[static_cast<std::size_t>(sequence)] + token;
}

void change_row(Fp8Launch& trial, std::int64_t place, std::int64_t head,
                const std::function<double(double)>& change) {
  std::byte* const data = trial.outcome.output.payload().data();
  const HeadsExtent extent = trial.fp8.output();
  const DType type = trial.fp8.output_type();
  const std::size_t first = extent.at(place, head);
  for (std::size_t i = first; i < first + static_cast<std::size_t>(extent.dim); ++i) {
    reference::store_element(type, data, i, change(reference::load_element(type, data, i)));
  }
}

void change_lse(Fp8Launch& trial, const std::function<float(float)>& change) {
  const std::int64_t index = trial.fp8.query_tokens() + place_of(trial, 0, kToken);  // of head 1
  std::byte* const at = trial.outcome.lse.payload().data() + index * 4;
  float lse = 0;
  std::memcpy(&lse, at, sizeof(lse));
  lse = change(lse);
  std::memcpy(at, &lse, sizeof(lse));
}

template <class T>
void swap_rows(std::span<T> data, std::size_t a, std::size_t b, std::size_t count) {
  std::swap_ranges(data.begin() + static_cast<std::ptrdiff_t>(a),
                   data.begin() + static_cast<std::ptrdiff_t>(a + count),
                   data.begin() + static_cast<std::ptrdiff_t>(b));
}

void swap_output(Fp8Launch& trial, std::size_t a, std::size_t b) {
  const std::size_t element = bytes_of(trial.fp8.output_type());
  swap_rows(trial.outcome.output.payload(), a * element, b * element,
            static_cast<std::size_t>(trial.fp8.head_dim_v) * element);
}

// The operands are what the device had as well: only the result is off.
void accept_inputs(Fp8Launch& trial) {
  const auto copy = [](const auto& from, Image& to) {
    const auto bytes = std::as_bytes(std::span(from));
    std::copy(bytes.begin(), bytes.end(), to.payload().begin());
  };
  copy(trial.inputs.q, trial.outcome.q);
  copy(trial.inputs.k, trial.outcome.k);
  copy(trial.inputs.v, trial.outcome.v);
  copy(trial.inputs.seqused_k, trial.outcome.seqused_k);
  copy(trial.inputs.page_table, trial.outcome.page_table);
  copy(trial.inputs.q_factors, trial.outcome.q_factors);
  copy(trial.inputs.k_factors, trial.outcome.k_factors);
  copy(trial.inputs.v_factors, trial.outcome.v_factors);
  copy(trial.inputs.sinks, trial.outcome.sinks);
}

using Change = std::function<void(Fp8Launch&)>;

Fp8Sabotage operand(const char* name, Change change) {
  return {name, [change = std::move(change)](Fp8Launch& trial) {
            change(trial);
            accept_inputs(trial);
          }};
}

// Where scores are largest: NaNs between factors are less than nothing.
std::size_t largest_factor(const Fp8Inputs& inputs) {
  std::size_t largest = 0;
  for (std::size_t i = 0; i < inputs.q_factors.size(); ++i) {
    const auto score = [&](std::size_t at) { return inputs.q_factors[at] * inputs.k_factors[at]; };
    if (score(i) > score(largest)) largest = i;
  }
  return largest;
}

Fp8Sabotage factor(const char* name, std::vector<float> Fp8Inputs::*factors, float times) {
  return operand(name, [=](Fp8Launch& trial) {
    (trial.inputs.*factors)[largest_factor(trial.inputs)] *= times;
  });
}

void swap_factors(Fp8Launch& trial) {
  std::vector<float>& factors = trial.inputs.v_factors;  // the first is one
  std::size_t smallest = 0;
  std::size_t largest = 0;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i] < factors[smallest]) smallest = i;
    if (factors[i] > factors[largest]) largest = i;
  }
  std::swap(factors[smallest], factors[largest]);
}

// Some keys of the first sequence and as many from `other` on, perhaps of another head.
Fp8Sabotage keys(const char* name, std::vector<std::uint8_t> Fp8Inputs::*data,
                 HeadsExtent (Fp8Case::*extent)() const noexcept, std::int64_t other,
                 std::int64_t other_head) {
  constexpr std::int64_t kCount = 8;  // of weights that are no more than what rounding may take
  return operand(name, [=](Fp8Launch& trial) {
    const HeadsExtent rows = (trial.fp8.*extent)();
    for (std::int64_t i = 0; i < kCount; ++i) {
      const std::int64_t a = place_of_key(trial.fp8, trial.inputs, 0, kToken + i);
      const std::int64_t b = place_of_key(trial.fp8, trial.inputs, 0, other + i);
      swap_rows(std::span(trial.inputs.*data), rows.at(a, 0), rows.at(b, other_head),
                static_cast<std::size_t>(rows.dim));
    }
  });
}

void swap_queries(Fp8Launch& trial, std::int64_t more_tokens, std::int64_t more_heads) {
  const HeadsExtent rows = trial.fp8.queries();
  const std::int64_t place = place_of(trial, 0, kToken);
  swap_rows(std::span(trial.inputs.q), rows.at(place, 0), rows.at(place + more_tokens, more_heads),
            static_cast<std::size_t>(rows.dim));
}

// Heads 1 and 2 of the queries change places, those of the results do not.
void share_otherwise(Fp8Launch& trial) {
  const HeadsExtent rows = trial.fp8.queries();
  for (std::int64_t place = 0; place < trial.fp8.query_tokens(); ++place) {
    swap_rows(std::span(trial.inputs.q), rows.at(place, 1), rows.at(place, 2),
              static_cast<std::size_t>(rows.dim));
    swap_output(trial, trial.fp8.output().at(place, 1), trial.fp8.output().at(place, 2));
  }
}

void add_operands(std::vector<Fp8Sabotage>& all) {
  all.push_back(operand("two queries exchanged", [](Fp8Launch& t) { swap_queries(t, 1, 0); }));
  all.push_back(
      operand("two heads of a query exchanged", [](Fp8Launch& t) { swap_queries(t, 0, 1); }));
  all.push_back(operand("heads shared otherwise", share_otherwise));
  all.push_back(keys("keys exchanged", &Fp8Inputs::k, &Fp8Case::keys, kToken + 8, 0));
  all.push_back(keys("heads of keys exchanged", &Fp8Inputs::k, &Fp8Case::keys, kToken, 1));
  all.push_back(keys("values exchanged", &Fp8Inputs::v, &Fp8Case::values, kToken + 8, 0));
  all.push_back(keys("heads of values exchanged", &Fp8Inputs::v, &Fp8Case::values, kToken, 1));
  all.push_back(operand("a key less", [](Fp8Launch& t) { --t.inputs.seqused_k[0]; }));
  all.push_back(operand("two pages exchanged", [](Fp8Launch& t) {
    std::swap(t.inputs.page_table[2], t.inputs.page_table[3]);
  }));
  all.push_back(operand("a page of another sequence", [](Fp8Launch& t) {
    t.inputs.page_table[2] = t.inputs.page_table[static_cast<std::size_t>(t.fp8.table_stride())];
  }));
}

void add_options(std::vector<Fp8Sabotage>& all) {
  all.push_back({"no mask", [](Fp8Launch& t) { t.fp8.causal = false; }});
  all.push_back({"a window one wider", [](Fp8Launch& t) { ++t.fp8.window_left; }});
  all.push_back({"no window", [](Fp8Launch& t) { t.fp8.window_left = -1; }});
  all.push_back({"no softcap", [](Fp8Launch& t) { t.fp8.softcap = 0; }});
  all.push_back({"a softmax scale 2 % larger", [](Fp8Launch& t) {
                   t.fp8.softmax_scale = static_cast<float>(t.fp8.effective_scale() * 1.02);
                 }});
  all.push_back({"no sinks", [](Fp8Launch& t) { t.fp8.sinks = false; }});
  all.push_back(factor("a factor of queries 5 % larger", &Fp8Inputs::q_factors, 1.05F));
  all.push_back(factor("a factor of keys 5 % larger", &Fp8Inputs::k_factors, 1.05F));
  all.push_back(factor("a factor of values 15 % larger", &Fp8Inputs::v_factors, 1.15F));
  all.push_back(operand("two factors of values exchanged", swap_factors));
  all.push_back({"no factors", [](Fp8Launch& t) { t.fp8.factors = Fp8Factors::kNone; }});
}

Fp8Sabotage row(const char* name, std::int64_t token, std::function<double(double)> change) {
  return {name, [=](Fp8Launch& trial) { change_row(trial, place_of(trial, 0, token), 1, change); }};
}

void add_results(std::vector<Fp8Sabotage>& all) {
  all.push_back(row("a row a little too large", kToken, [](double x) { return x * 1.6; }));
  all.push_back(row("a row 0", kToken, [](double) { return 0.0; }));
  all.push_back(row("the first row a step away", 0, [](double x) { return x * 1.6; }));
  // What values after the last key do to a kernel that multiplies them with weights of 0.
  all.push_back(row("a NaN in the last row", 149, [](double) { return kNaN; }));
  all.push_back({"two rows exchanged", [](Fp8Launch& t) {
                   const HeadsExtent out = t.fp8.output();
                   const std::int64_t place = place_of(t, 0, kToken);
                   swap_output(t, out.at(place, 1), out.at(place + 1, 1));
                 }});
  all.push_back({"two heads exchanged", [](Fp8Launch& t) {
                   const HeadsExtent out = t.fp8.output();
                   const std::int64_t place = place_of(t, 0, kToken);
                   swap_output(t, out.at(place, 0), out.at(place, 1));
                 }});
  all.push_back({"the last row not written", [](Fp8Launch& t) {
                   const std::size_t element = bytes_of(t.fp8.output_type());
                   const std::size_t first = t.fp8.output().at(place_of(t, 1, 76), 3) * element;
                   std::fill_n(
                       t.outcome.output.payload().begin() + static_cast<std::ptrdiff_t>(first),
                       t.fp8.head_dim_v * static_cast<std::int64_t>(element), t.fp8.poison);
                 }});
  const auto lse = [&](const char* name, std::function<float(float)> change) {
    all.push_back({name, [=](Fp8Launch& trial) { change_lse(trial, change); }});
  };
  lse("an LSE off by 0.2", [](float x) { return x + 0.2F; });
  lse("an LSE in base 2", [](float x) { return x * 1.4427F; });
  lse("an LSE 8 powers of two off", [](float x) { return x - 5.545F; });
  lse("an LSE -inf", [](float) { return -std::numeric_limits<float>::infinity(); });
}

void add_memory(std::vector<Fp8Sabotage>& all) {
  const auto add = [&](const char* name, Image Fp8Outcome::*image) {
    all.push_back({name, [image](Fp8Launch& trial) {
                     (trial.outcome.*image).payload().back() ^= std::byte{1};
                   }});
  };
  add("q written", &Fp8Outcome::q);
  add("k written", &Fp8Outcome::k);
  add("v written", &Fp8Outcome::v);
  add("places written", &Fp8Outcome::cu_seqlens_q);
  add("lengths written", &Fp8Outcome::seqused_k);
  add("pages written", &Fp8Outcome::page_table);
  add("factors written", &Fp8Outcome::v_factors);
  add("a token of no sequence written", &Fp8Outcome::output);
  add("an LSE of no sequence written", &Fp8Outcome::lse);
  add("a counter left", &Fp8Outcome::counters);
  all.push_back({"a token that is not used written", [](Fp8Launch& t) {
                   const std::size_t at = t.fp8.output().at(place_of(t, 0, 150), 0);
                   t.outcome.output.payload()[at * bytes_of(t.fp8.output_type())] ^= std::byte{1};
                 }});
  all.push_back({"the padding of a head written", [](Fp8Launch& t) {
                   const std::size_t after = t.fp8.output().at(place_of(t, 0, kToken), 1) +
                                             static_cast<std::size_t>(t.fp8.head_dim_v);
                   t.outcome.output.payload()[after * bytes_of(t.fp8.output_type())] ^=
                       std::byte{1};
                 }});
  all.push_back({"one byte past the output written", [](Fp8Launch& t) {
                   Image& output = t.outcome.output;
                   output.bytes[output.bytes.size() - kGuardBytes] ^= std::byte{1};
                 }});
  all.push_back({"one byte before the workspace written", [](Fp8Launch& t) {
                   t.outcome.workspace.bytes[t.outcome.workspace.front_bytes - 1] ^= std::byte{1};
                 }});
}

// Beside which what is done to scores or values would not show.
bool has_small_factor(const Fp8Inputs& inputs) {
  const auto is_small = [](float factor) { return factor < 0.3F; };  // no NaN
  return std::ranges::any_of(inputs.q_factors, is_small) ||
         std::ranges::any_of(inputs.k_factors, is_small) ||
         std::ranges::any_of(inputs.v_factors, is_small);
}

}  // namespace

Fp8Case control_case(std::optional<float> scale, std::uint64_t seed) {
  Fp8Case fp8;
  fp8.query_lengths = {150, 77};
  fp8.key_lengths = {190, 77};
  fp8.query_slack = 3;
  fp8.outside = 4;
  fp8.page_size = 16;
  fp8.heads = 4;
  fp8.kv_heads = 2;
  fp8.window_left = 100;
  fp8.softcap = 15;
  fp8.softmax_scale = 0.15F;
  fp8.sinks = true;
  fp8.factors = Fp8Factors::kOrdinary;
  fp8.scale = scale;
  fp8.counters = true;
  fp8.layout = Fp8Layout::kPadded;
  fp8.seed = seed;
  while (has_small_factor(make_inputs(fp8))) ++fp8.seed;
  return fp8;
}

std::vector<Fp8Sabotage> fp8_sabotages() {
  std::vector<Fp8Sabotage> all;
  add_operands(all);
  add_options(all);
  add_results(all);
  add_memory(all);
  return all;
}

}  // namespace jit::test
