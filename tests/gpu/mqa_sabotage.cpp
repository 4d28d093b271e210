#include "gpu/mqa_sabotage.hpp"

#include <algorithm>
#include <limits>

#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kRow = 2;
constexpr std::int64_t kBegin = 40;
constexpr std::int64_t kEnd = 240;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint64_t place(const MqaTrial& trial, std::int64_t row, std::int64_t column) {
  return static_cast<std::uint64_t>(row * trial.mqa.logits_stride() + column);
}

double load(const MqaTrial& trial, std::int64_t column) {
  return reference::load_element(trial.mqa.type, trial.outcome.logits.payload().data(),
                                 place(trial, kRow, column));
}

void store(MqaTrial& trial, std::int64_t row, std::int64_t column, double value) {
  reference::store_element(trial.mqa.type, trial.outcome.logits.payload().data(),
                           place(trial, row, column), value);
}

// The operands are what the device had as well: only the result is off.
void accept_inputs(MqaTrial& trial) {
  const auto copy = [](const auto& from, Image& to) {
    const auto bytes = std::as_bytes(std::span(from));
    std::copy(bytes.begin(), bytes.end(), to.payload().begin());
  };
  copy(trial.inputs.query, trial.outcome.query);
  copy(trial.inputs.keys, trial.outcome.keys);
  copy(trial.inputs.scales, trial.outcome.scales);
  copy(trial.inputs.weights, trial.outcome.weights);
  copy(trial.mqa.starts, trial.outcome.starts);
  copy(trial.mqa.ends, trial.outcome.ends);
}

void other_operands(std::vector<MqaSabotage>& all) {
  const auto add = [&](const char* name, const std::function<void(MqaTrial&)>& change) {
    all.push_back({name, [change](MqaTrial& trial) {
                     change(trial);
                     accept_inputs(trial);
                   }});
  };
  add("two weights exchanged", [](MqaTrial& trial) {
    float* const weights = trial.inputs.weights.data() + kRow * trial.mqa.num_heads;
    std::swap(weights[0], weights[trial.mqa.num_heads - 1]);
  });
  add("two rows of queries exchanged", [](MqaTrial& trial) {
    const std::ptrdiff_t bytes = trial.mqa.num_heads * trial.mqa.head_dim;
    const auto first = trial.inputs.query.begin() + kRow * bytes;
    std::swap_ranges(first, first + bytes, first + bytes);
  });
  add("two tiles of keys exchanged", [](MqaTrial& trial) {
    const std::ptrdiff_t bytes = 64 * trial.mqa.head_dim;
    const auto first = trial.inputs.keys.begin() + bytes;
    std::swap_ranges(first, first + bytes, first + bytes);
  });
  add("the scales of a tile 5 % larger", [](MqaTrial& trial) {
    for (std::size_t key = 64; key < 128; ++key) trial.inputs.scales[key] *= 1.05F;
  });
  add("a start one later", [](MqaTrial& trial) { trial.mqa.starts[kRow] += 1; });
  add("a start one earlier", [](MqaTrial& trial) { trial.mqa.starts[kRow] -= 1; });
  add("an end one later", [](MqaTrial& trial) { trial.mqa.ends[kRow] += 1; });
  add("an end one earlier", [](MqaTrial& trial) { trial.mqa.ends[kRow] -= 1; });
  add("logits compressed that should not be", [](MqaTrial& trial) { trial.mqa.compressed = true; });
}

void other_results(std::vector<MqaSabotage>& all) {
  all.push_back({"every score is a little too large", [](MqaTrial& trial) {
                   const double factor = trial.mqa.type == f32 ? 1.002 : 1.01;
                   for (std::int64_t p = kBegin; p < kEnd; ++p) {
                     store(trial, kRow, p, load(trial, p) * factor);
                   }
                 }});
  all.push_back({"the last score not written", [](MqaTrial& trial) {
                   const std::size_t element = bytes_of(trial.mqa.type);
                   const auto first =
                       trial.outcome.logits.payload().begin() +
                       static_cast<std::ptrdiff_t>(place(trial, kRow, kEnd - 1) * element);
                   std::fill_n(first, element, trial.mqa.poison);
                 }});
  const auto add = [&](const char* name, std::int64_t column, double value) {
    all.push_back({name, [column, value](MqaTrial& trial) { store(trial, kRow, column, value); }});
  };
  add("a score is NaN", kBegin, std::numeric_limits<double>::quiet_NaN());
  add("a score is infinite", kEnd - 1, kInfinity);
  add("the position before the first holds a number", kBegin - 1, 0.5);
  add("the position past the last holds a number", kEnd, 0.5);
  add("the last position of a row holds a number", 299, 0.5);
  add("the padding of a row written", 300, -kInfinity);
  all.push_back({"an empty row holds a number", [](MqaTrial& trial) { store(trial, 0, 0, 0.5); }});
}

void other_memory(std::vector<MqaSabotage>& all) {
  const auto add = [&](const char* name, Image MqaOutcome::*image) {
    all.push_back({name, [image](MqaTrial& trial) {
                     (trial.outcome.*image).payload().back() ^= std::byte{1};
                   }});
  };
  add("the query written", &MqaOutcome::query);
  add("the keys written", &MqaOutcome::keys);
  add("the scales written", &MqaOutcome::scales);
  add("the weights written", &MqaOutcome::weights);
  add("the starts written", &MqaOutcome::starts);
  add("the ends written", &MqaOutcome::ends);
  all.push_back({"one byte past the logits written", [](MqaTrial& trial) {
                   Image& logits = trial.outcome.logits;
                   logits.bytes[logits.bytes.size() - kGuardBytes] ^= std::byte{1};
                 }});
}

}  // namespace

const std::vector<MqaSabotage>& mqa_sabotages() {
  static const std::vector<MqaSabotage> all = [] {
    std::vector<MqaSabotage> made;
    other_operands(made);
    other_results(made);
    other_memory(made);
    return made;
  }();
  return all;
}

MqaCase mqa_sabotage_case(DType type, bool clean, std::uint64_t seed) {
  MqaCase mqa;
  mqa.tokens = 6;
  mqa.keys = 300;
  mqa.num_heads = 32;
  mqa.type = type;
  mqa.clean = clean;
  mqa.starts = {7, 0, kBegin, 299, -5, 60};
  mqa.ends = {7, 300, kEnd, 300, 20, 1 << 20};
  mqa.row_padding = 5;
  mqa.seed = seed;
  return mqa;
}

}  // namespace jit::test
