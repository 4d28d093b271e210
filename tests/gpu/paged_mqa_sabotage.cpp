#include "gpu/paged_mqa_sabotage.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kRow = 3;  // the first token of the second request, which sees 200 keys

std::uint64_t place(const PagedMqaTrial& trial, std::int64_t row, std::int64_t position) {
  return static_cast<std::uint64_t>(row * trial.paged.logits_stride() + position);
}

double load(const PagedMqaTrial& trial, std::int64_t row, std::int64_t position) {
  return reference::load_element(trial.paged.type, trial.outcome.logits.payload().data(),
                                 place(trial, row, position));
}

void store(PagedMqaTrial& trial, std::int64_t row, std::int64_t position, double value) {
  reference::store_element(trial.paged.type, trial.outcome.logits.payload().data(),
                           place(trial, row, position), value);
}

void unwrite(PagedMqaTrial& trial, std::int64_t row, std::int64_t position) {
  const std::size_t element = bytes_of(trial.paged.type);
  const std::size_t first = place(trial, row, position) * element;
  std::fill_n(trial.outcome.logits.payload().begin() + static_cast<std::ptrdiff_t>(first), element,
              trial.paged.poison);
}

// What `change` makes of the operands is what the device then had as well: only the result is off.
void replace_inputs(PagedMqaTrial& trial, const std::function<void(PagedMqaInputs&)>& change) {
  change(trial.inputs);
  const auto copy = [](const auto& from, Image& to) {
    const auto bytes = std::as_bytes(std::span(from));
    std::copy(bytes.begin(), bytes.end(), to.payload().begin());
  };
  copy(trial.inputs.query, trial.outcome.query);
  copy(trial.inputs.cache, trial.outcome.cache);
  copy(trial.inputs.weights, trial.outcome.weights);
  copy(trial.inputs.table, trial.outcome.table);
  copy(trial.paged.lengths, trial.outcome.lengths);
}

void other_operands(std::vector<PagedMqaSabotage>& all) {
  all.push_back({"one weight is another's", [](PagedMqaTrial& trial) {
                   replace_inputs(trial, [&](PagedMqaInputs& inputs) {
                     float* const weights = inputs.weights.data() + kRow * trial.paged.num_heads;
                     std::swap(weights[0], weights[trial.paged.num_heads - 1]);
                   });
                 }});
  all.push_back({"two blocks of a request exchanged", [](PagedMqaTrial& trial) {
                   replace_inputs(trial, [&](PagedMqaInputs& inputs) {
                     std::int32_t* const row = inputs.table.data() + trial.paged.table_stride();
                     std::swap(row[0], row[1]);
                   });
                 }});
  all.push_back({"two keys of a block exchanged", [](PagedMqaTrial& trial) {
                   replace_inputs(trial, [&](PagedMqaInputs& inputs) {
                     const std::int32_t block =
                         inputs.table[static_cast<std::size_t>(trial.paged.table_stride())];
                     const auto first = inputs.cache.begin() + block * trial.paged.block_stride();
                     const std::ptrdiff_t dim = trial.paged.head_dim;
                     std::swap_ranges(first + 7 * dim, first + 8 * dim, first + 8 * dim);
                   });
                 }});
  all.push_back({"a scale 5 % larger", [](PagedMqaTrial& trial) {
                   replace_inputs(trial, [&](PagedMqaInputs& inputs) {
                     const std::int32_t block =
                         inputs.table[static_cast<std::size_t>(trial.paged.table_stride())];
                     const auto scales = inputs.cache.begin() + block * trial.paged.block_stride() +
                                         trial.paged.block_kv * trial.paged.head_dim;
                     float scale = 0;
                     std::memcpy(&scale, &scales[0], sizeof(scale));
                     scale *= 1.05F;
                     std::memcpy(&scales[0], &scale, sizeof(scale));
                   });
                 }});
  all.push_back({"two query tokens exchanged", [](PagedMqaTrial& trial) {
                   replace_inputs(trial, [&](PagedMqaInputs& inputs) {
                     const std::int64_t bytes = trial.paged.num_heads * trial.paged.head_dim;
                     const auto first = inputs.query.begin() + kRow * bytes;
                     std::swap_ranges(first, first + bytes, first + bytes);
                   });
                 }});
  all.push_back({"a length one longer", [](PagedMqaTrial& trial) {
                   trial.paged.lengths[kRow] += 1;
                   replace_inputs(trial, [](PagedMqaInputs&) {});
                 }});
  all.push_back({"a length one shorter", [](PagedMqaTrial& trial) {
                   trial.paged.lengths[kRow] -= 1;
                   replace_inputs(trial, [](PagedMqaInputs&) {});
                 }});
}

void other_results(std::vector<PagedMqaSabotage>& all) {
  all.push_back({"a score is 2 % of the row's largest off", [](PagedMqaTrial& trial) {
                   double largest = 0;
                   for (std::int64_t p = 0; p < 200; ++p) {
                     largest = std::max(largest, std::fabs(load(trial, kRow, p)));
                   }
                   store(trial, kRow, 100, load(trial, kRow, 100) + 0.02 * largest);
                 }});
  all.push_back({"every score is a little too large", [](PagedMqaTrial& trial) {
                   const double factor = trial.paged.type == f32 ? 1.002 : 1.01;
                   for (std::int64_t p = 0; p < 200; ++p) {
                     store(trial, kRow, p, load(trial, kRow, p) * factor);
                   }
                 }});
  all.push_back({"the scores of two pages exchanged", [](PagedMqaTrial& trial) {
                   for (std::int64_t p = 64; p < 128; ++p) {
                     const double first = load(trial, kRow, p);
                     store(trial, kRow, p, load(trial, kRow, p + 64));
                     store(trial, kRow, p + 64, first);
                   }
                 }});
  all.push_back({"the last score of a row not written",
                 [](PagedMqaTrial& trial) { unwrite(trial, kRow, 199); }});
  all.push_back({"the only score of a request not written",
                 [](PagedMqaTrial& trial) { unwrite(trial, 14, 0); }});
  all.push_back({"a score is NaN", [](PagedMqaTrial& trial) {
                   store(trial, kRow, 5, std::numeric_limits<double>::quiet_NaN());
                 }});
  all.push_back({"a score is infinite", [](PagedMqaTrial& trial) {
                   store(trial, kRow, 5, std::numeric_limits<double>::infinity());
                 }});
  all.push_back({"the first masked position holds a number",
                 [](PagedMqaTrial& trial) { store(trial, kRow, 200, 0.5); }});
  all.push_back({"the last masked position holds a number", [](PagedMqaTrial& trial) {
                   store(trial, kRow, trial.paged.max_context_len - 1, 0.5);
                 }});
  all.push_back({"a masked position is the other thing", [](PagedMqaTrial& trial) {
                   if (trial.paged.clean) unwrite(trial, 0, 0);
                   else store(trial, 0, 0, -std::numeric_limits<double>::infinity());
                 }});
  all.push_back({"the padding of a row written", [](PagedMqaTrial& trial) {
                   store(trial, kRow, trial.paged.max_context_len,
                         -std::numeric_limits<double>::infinity());
                 }});
}

void other_memory(std::vector<PagedMqaSabotage>& all) {
  const auto flip = [](Image PagedMqaOutcome::*image) {
    return
        [image](PagedMqaTrial& trial) { (trial.outcome.*image).payload().front() ^= std::byte{1}; };
  };
  all.push_back({"the query written", flip(&PagedMqaOutcome::query)});
  all.push_back({"the cache written", flip(&PagedMqaOutcome::cache)});
  all.push_back({"the weights written", flip(&PagedMqaOutcome::weights)});
  all.push_back({"the lengths written", flip(&PagedMqaOutcome::lengths)});
  all.push_back({"the block table written", flip(&PagedMqaOutcome::table)});
  all.push_back({"one byte before the logits written", [](PagedMqaTrial& trial) {
                   Image& logits = trial.outcome.logits;
                   logits.bytes[logits.front_bytes - 1] ^= std::byte{1};
                 }});
  all.push_back({"one byte past the logits written", [](PagedMqaTrial& trial) {
                   Image& logits = trial.outcome.logits;
                   logits.bytes[logits.bytes.size() - kGuardBytes] ^= std::byte{1};
                 }});
  all.push_back({"one byte past the schedule written", [](PagedMqaTrial& trial) {
                   Image& schedule = trial.outcome.schedule;
                   schedule.bytes[schedule.bytes.size() - kGuardBytes] ^= std::byte{1};
                 }});
}

}  // namespace

const std::vector<PagedMqaSabotage>& paged_mqa_sabotages() {
  static const std::vector<PagedMqaSabotage> all = [] {
    std::vector<PagedMqaSabotage> made;
    other_operands(made);
    other_results(made);
    other_memory(made);
    return made;
  }();
  return all;
}

PagedMqaCase sabotage_case(DType type, bool clean, std::uint64_t seed) {
  PagedMqaCase paged;
  paged.batch = 5;
  paged.next_n = 3;
  paged.num_heads = 32;
  paged.type = type;
  paged.clean = clean;
  paged.scheduled = true;
  paged.max_context_len = 301;
  paged.lengths = {0, 0, 0, 200, 77, 300, 64, 65, 63, 12, 301, 256, -5, 0, 1};
  paged.row_padding = 7;
  paged.seed = seed;
  return paged;
}

}  // namespace jit::test
