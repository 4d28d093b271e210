#include "kernels/mqa_operands.hpp"

#include <algorithm>

#include "kernels/reference/mqa_logits.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::int64_t kSequences = 4;

std::size_t as_size(std::int64_t value) { return static_cast<std::size_t>(value); }

DeviceBuffer to_device(Driver& driver, const std::vector<std::int32_t>& values) {
  return DeviceBuffer::of(driver, std::span<const std::int32_t>(values));
}

// The range of keys of each token. The tokens of a sequence are its last ones.
template <class Take>
void for_each_range(const MqaCall& call, const Take& take) {
  const std::int64_t sequences = call.ranges == MqaRanges::kPacked ? kSequences : 1;
  for (std::int64_t token = 0; token < call.num_tokens; ++token) {
    const std::int64_t sequence = token * sequences / call.num_tokens;
    const std::int64_t last_token = ((sequence + 1) * call.num_tokens + sequences - 1) / sequences;
    const std::int64_t begin = sequence * call.num_keys / sequences;
    const std::int64_t end = (sequence + 1) * call.num_keys / sequences;
    take(begin, std::max(begin, end - (last_token - 1 - token)));
  }
}

}  // namespace

std::string_view name_of(MqaRanges ranges) noexcept {
  return ranges == MqaRanges::kCausal ? "causal" : "packed";
}

std::vector<std::int32_t> MqaCall::starts() const {
  std::vector<std::int32_t> values;
  for_each_range(*this, [&](std::int64_t begin, std::int64_t) {
    values.push_back(static_cast<std::int32_t>(begin));
  });
  return values;
}

std::vector<std::int32_t> MqaCall::ends() const {
  std::vector<std::int32_t> values;
  for_each_range(*this, [&](std::int64_t, std::int64_t end) {
    values.push_back(static_cast<std::int32_t>(end));
  });
  return values;
}

std::uint64_t MqaCall::scores() const {
  std::uint64_t sum = 0;
  for_each_range(*this, [&](std::int64_t begin, std::int64_t end) {
    sum += static_cast<std::uint64_t>(end - begin);
  });
  return sum;
}

std::uint64_t MqaCall::bytes() const {
  const auto row = static_cast<std::uint64_t>(head_dim + 4);
  const auto tokens = static_cast<std::uint64_t>(num_tokens);
  return static_cast<std::uint64_t>(num_keys) * row + scores() * bytes_of(logits_type) +
         tokens * (static_cast<std::uint64_t>(num_heads) * row + 8);
}

double MqaCall::flops() const {
  return 2.0 * static_cast<double>(scores()) * static_cast<double>(num_heads * head_dim);
}

MqaSet::MqaSet(Driver& driver, const MqaCall& call)
    : query(driver, as_size(call.num_tokens * call.num_heads * call.head_dim)),
      keys(driver, as_size(call.num_keys * call.head_dim)),
      key_scales(driver, as_size(call.num_keys) * sizeof(float)),
      weights(driver, as_size(call.num_tokens * call.num_heads) * sizeof(float)),
      starts(to_device(driver, call.starts())),
      ends(to_device(driver, call.ends())),
      logits(driver, as_size(call.num_tokens * call.num_keys) * bytes_of(call.logits_type)) {}

void MqaSet::fill(const MqaDevicePool& pool, Stream stream) {
  pool.fill_queries(query, stream);
  pool.fill_keys(keys, stream);
  pool.fill_scales(key_scales, stream);
  pool.fill_weights(weights, stream);
}

kernels::MqaLogitsArgs mqa_args(const MqaCall& call, const MqaSet& set) {
  kernels::MqaLogitsArgs args;
  args.num_tokens = call.num_tokens;
  args.num_keys = call.num_keys;
  args.num_heads = call.num_heads;
  args.head_dim = call.head_dim;
  args.logits_type = call.logits_type;
  args.query = set.query.as<void>();
  args.keys = set.keys.as<void>();
  args.key_scales = set.key_scales.as<float>();
  args.weights = set.weights.as<float>();
  args.starts = set.starts.as<std::int32_t>();
  args.ends = set.ends.as<std::int32_t>();
  args.logits = set.logits.as<void>();
  args.compressed_logits = call.compressed_logits;
  args.clean_logits = call.clean_logits;
  return args;
}

std::string judge_mqa(const MqaCall& call, const MqaDevicePool& pool,
                      std::span<const std::byte> logits, std::span<const std::int64_t> sample) {
  const std::size_t rows = as_size(call.num_tokens * call.num_heads);
  const std::vector<std::byte> query = pool.queries(rows * as_size(call.head_dim));
  const std::vector<float> weights = pool.weights(rows);
  const std::vector<std::byte> keys = pool.keys(as_size(call.num_keys));
  const std::vector<float> scales = pool.scales(as_size(call.num_keys));
  const std::vector<std::int32_t> starts = call.starts();
  const std::vector<std::int32_t> ends = call.ends();
  reference::MqaProblem problem;
  problem.num_tokens = call.num_tokens;
  problem.num_keys = call.num_keys;
  problem.num_heads = call.num_heads;
  problem.head_dim = call.head_dim;
  problem.logits_type = call.logits_type;
  problem.query = query.data();
  problem.keys = keys.data();
  problem.key_scales = scales.data();
  problem.weights = weights.data();
  problem.starts = starts.data();
  problem.ends = ends.data();
  problem.logits_width = problem.logits_stride = call.num_keys;
  problem.compressed_logits = call.compressed_logits;
  problem.clean_logits = call.clean_logits;
  reference::MqaCheckOptions options;
  options.sample = sample;
  const reference::MqaCheck check = reference::check_mqa(problem, logits.data(), options);
  return check.passed(call.logits_type) ? std::string{} : check.text();
}

}  // namespace jit::inline v1
