#include "gpu/paged_mqa_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "gpu/images.hpp"

namespace jit::test {
namespace {

std::string judge_guards(const PagedMqaOutcome& outcome) {
  const std::array<std::pair<const char*, const Image*>, 7> images{{
      {"query", &outcome.query},
      {"kv_cache", &outcome.cache},
      {"weights", &outcome.weights},
      {"context_lens", &outcome.lengths},
      {"block_table", &outcome.table},
      {"schedule", &outcome.schedule},
      {"logits", &outcome.logits},
  }};
  return first_guard_damage(images);
}

std::string judge_inputs(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
                         const PagedMqaOutcome& outcome) {
  if (!holds(outcome.query, inputs.query)) return "the query was written";
  if (!holds(outcome.cache, inputs.cache)) return "the cache was written";
  if (!holds(outcome.weights, inputs.weights)) return "the weights were written";
  if (!holds(outcome.lengths, paged.lengths)) return "the lengths were written";
  if (!holds(outcome.table, inputs.table)) return "the block table was written";
  return {};
}

}  // namespace

std::int64_t PagedMqaCase::length(std::int64_t row) const {
  return std::clamp<std::int64_t>(lengths[static_cast<std::size_t>(row)], 0, max_context_len);
}

std::int64_t PagedMqaCase::longest(std::int64_t request) const {
  std::int64_t found = 0;
  for (std::int64_t token = 0; token < next_n; ++token) {
    found = std::max(found, length(request * next_n + token));
  }
  return found;
}

std::string PagedMqaCase::text() const {
  const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
  return fmt::format(
      "b={} n={} h={} d={} block={} {}{}{}{} workers={} lengths={}..{} of {} padding={}/{}/{} "
      "scales={} weights={}{} poison={:#x} seed={}",
      batch, next_n, num_heads, head_dim, block_kv, name_of(type), clean ? " clean" : "",
      scheduled ? " scheduled" : "", programmatic ? " programmatic" : "", workers, *shortest,
      *longest, max_context_len, block_padding, table_padding, row_padding,
      static_cast<int>(scales), static_cast<int>(weights), shared_blocks ? " shared" : "",
      static_cast<unsigned>(poison), seed);
}

reference::PagedMqaProblem problem_of(const PagedMqaCase& paged, const PagedMqaInputs& inputs) {
  reference::PagedMqaProblem problem;
  problem.batch = paged.batch;
  problem.next_n = paged.next_n;
  problem.num_heads = paged.num_heads;
  problem.head_dim = paged.head_dim;
  problem.block_kv = paged.block_kv;
  problem.max_context_len = paged.max_context_len;
  problem.logits_type = paged.type;
  problem.query = inputs.query.data();
  problem.kv_cache = inputs.cache.data();
  problem.weights = inputs.weights.data();
  problem.context_lens = paged.lengths.data();
  problem.block_table = inputs.table.data();
  problem.block_stride = paged.block_stride();
  problem.block_table_stride = paged.table_stride();
  problem.logits_stride = paged.logits_stride();
  problem.clean_logits = paged.clean;
  return problem;
}

PagedMqaVerdict judge(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
                      const PagedMqaOutcome& outcome, unsigned threads) {
  PagedMqaVerdict verdict;
  verdict.wrong = judge_guards(outcome);
  if (verdict.wrong.empty()) verdict.wrong = judge_inputs(paged, inputs, outcome);
  if (!verdict.wrong.empty()) return verdict;
  reference::MqaCheckOptions options;
  options.poison = paged.poison;
  options.threads = threads;
  verdict.check = reference::check_paged_mqa(problem_of(paged, inputs),
                                             outcome.logits.payload().data(), options);
  verdict.wrong = failure_of(verdict.check, paged.type);
  return verdict;
}

}  // namespace jit::test
