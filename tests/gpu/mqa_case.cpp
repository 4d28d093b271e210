#include "gpu/mqa_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

#include "gpu/images.hpp"

namespace jit::test {
namespace {

std::string judge_guards(const MqaOutcome& outcome) {
  const std::array<std::pair<const char*, const Image*>, 7> images{{
      {"query", &outcome.query},
      {"keys", &outcome.keys},
      {"key_scales", &outcome.scales},
      {"weights", &outcome.weights},
      {"starts", &outcome.starts},
      {"ends", &outcome.ends},
      {"logits", &outcome.logits},
  }};
  return first_guard_damage(images);
}

std::string judge_inputs(const MqaCase& mqa, const MqaInputs& inputs, const MqaOutcome& outcome) {
  if (!holds(outcome.query, inputs.query)) return "the query was written";
  if (!holds(outcome.keys, inputs.keys)) return "the keys were written";
  if (!holds(outcome.scales, inputs.scales)) return "the scales were written";
  if (!holds(outcome.weights, inputs.weights)) return "the weights were written";
  if (!holds(outcome.starts, mqa.starts)) return "the starts were written";
  if (!holds(outcome.ends, mqa.ends)) return "the ends were written";
  return {};
}

std::vector<bool> seen_keys(const MqaCase& mqa) {
  std::vector<bool> seen(static_cast<std::size_t>(mqa.keys));
  for (std::size_t token = 0; token < mqa.starts.size(); ++token) {
    const std::int64_t begin = std::clamp<std::int64_t>(mqa.starts[token], 0, mqa.keys);
    const std::int64_t end = std::clamp<std::int64_t>(mqa.ends[token], begin, mqa.keys);
    std::fill(seen.begin() + begin, seen.begin() + end, true);
  }
  return seen;
}

}  // namespace

std::string MqaCase::text() const {
  return fmt::format(
      "m={} n={} h={} d={} {}{}{}{} workers={} width={} padding={} scales={} weights={} "
      "poison={:#x} seed={}",
      tokens, keys, num_heads, head_dim, name_of(type), compressed ? " compressed" : "",
      clean ? " clean" : "", programmatic ? " programmatic" : "", workers, logits_width(),
      row_padding, static_cast<int>(scales), static_cast<int>(weights),
      static_cast<unsigned>(poison), seed);
}

MqaInputs make_inputs(const MqaCase& mqa) {
  std::mt19937_64 engine(mqa.seed);
  const MqaPool& pool = mqa_pool(mqa.head_dim);
  const auto dim = static_cast<std::size_t>(mqa.head_dim);
  const auto heads = static_cast<std::size_t>(mqa.tokens * mqa.num_heads);
  const auto keys = static_cast<std::size_t>(mqa.keys);
  MqaInputs inputs;
  inputs.query.resize(heads * dim);
  inputs.weights.resize(heads);
  inputs.keys.resize(keys * dim);
  inputs.scales.resize(keys);
  pool.write_queries(inputs.query.data(), engine(), heads);
  pool.write_weights(inputs.weights.data(), engine(), heads);
  pool.write_keys(inputs.keys.data(), inputs.scales.data(), engine(), keys);
  apply_pattern(mqa.weights, engine(), mqa.num_heads, inputs.weights);
  const std::vector<bool> seen = seen_keys(mqa);
  for (std::size_t key = 0; key < keys; ++key) {
    const auto codes = std::span(inputs.keys).subspan(key * dim, dim);
    const std::uint64_t random = engine();
    if (seen[key]) {
      apply_pattern(mqa.scales, random, codes,
                    std::as_writable_bytes(std::span(inputs.scales)).data() + key * 4);
      continue;
    }
    std::fill(codes.begin(), codes.end(), random % 2 == 0 ? std::byte{0x7F} : std::byte{0xFF});
    inputs.scales[key] = random % 3 == 0 ? std::numeric_limits<float>::infinity()
                                         : std::numeric_limits<float>::quiet_NaN();
  }
  return inputs;
}

reference::MqaProblem problem_of(const MqaCase& mqa, const MqaInputs& inputs) {
  reference::MqaProblem problem;
  problem.num_tokens = mqa.tokens;
  problem.num_keys = mqa.keys;
  problem.num_heads = mqa.num_heads;
  problem.head_dim = mqa.head_dim;
  problem.logits_type = mqa.type;
  problem.query = inputs.query.data();
  problem.keys = inputs.keys.data();
  problem.key_scales = inputs.scales.data();
  problem.weights = inputs.weights.data();
  problem.starts = mqa.starts.data();
  problem.ends = mqa.ends.data();
  problem.logits_width = mqa.logits_width();
  problem.logits_stride = mqa.logits_stride();
  problem.compressed_logits = mqa.compressed;
  problem.clean_logits = mqa.clean;
  return problem;
}

MqaVerdict judge(const MqaCase& mqa, const MqaInputs& inputs, const MqaOutcome& outcome,
                 unsigned threads) {
  MqaVerdict verdict;
  verdict.wrong = judge_guards(outcome);
  if (verdict.wrong.empty()) verdict.wrong = judge_inputs(mqa, inputs, outcome);
  if (!verdict.wrong.empty()) return verdict;
  reference::MqaCheckOptions options;
  options.poison = mqa.poison;
  options.threads = threads;
  verdict.check =
      reference::check_mqa(problem_of(mqa, inputs), outcome.logits.payload().data(), options);
  verdict.wrong = failure_of(verdict.check, mqa.type);
  return verdict;
}

}  // namespace jit::test
