#include "kernels/fp8_attention_splits.hpp"

#include <algorithm>
#include <cmath>

namespace jit::inline v1::kernels {
namespace {

constexpr std::int64_t kFewTiles = 4;
constexpr double kBusy = 0.8;  // of the workers: then nothing is split
constexpr double kEnough = 0.85;

// Of the bucket "decode", all rows of a key head are in one block of 64.
constexpr std::int64_t kDecodeRows = 64;
constexpr std::int64_t kPrefillRows = 128;
constexpr std::int64_t kKeyTile = 128;

std::int64_t ceil_div(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

std::int64_t aligned(std::int64_t bytes) {
  return ceil_div(bytes, kWorkspaceAlignment) * kWorkspaceAlignment;
}

// How much of the workers' time is work, all items being alike.
double efficiency(const SplitProblem& problem, std::int64_t splits) {
  const std::int64_t pieces = problem.items * splits;
  const std::int64_t waves = ceil_div(pieces, problem.workers);
  return static_cast<double>(pieces) / static_cast<double>(waves * problem.workers);
}

// Parts of ceil(tiles / splits) tiles each reach the end before the last one.
bool has_empty_part(std::int64_t tiles, std::int64_t splits) {
  return ceil_div(tiles, ceil_div(tiles, splits)) != splits;
}

// From the most on: in a single wave no later one is better.
double best_efficiency(const SplitProblem& problem, std::int64_t most) {
  double best = 0;
  for (std::int64_t splits = most; splits >= 1; --splits) {
    const double reached = efficiency(problem, splits);
    if (reached > best && !has_empty_part(problem.key_tiles, splits)) best = reached;
  }
  return best;
}

// Returns: the first number of parts that uses the workers so well, or most + 1.
std::int64_t first_reaching(const SplitProblem& problem, std::int64_t first, std::int64_t most,
                            double target) {
  std::int64_t splits = first;
  for (; splits <= most; ++splits) {
    if (efficiency(problem, splits) >= target && !has_empty_part(problem.key_tiles, splits)) break;
  }
  return std::min(splits, most + 1);
}

bool is_busy(const SplitProblem& problem) {
  if (problem.is_decode) return efficiency(problem, 1) >= kBusy;
  return static_cast<double>(problem.items) >= kBusy * static_cast<double>(problem.workers);
}

}  // namespace

std::int64_t best_splits(const SplitProblem& problem) noexcept {
  if (problem.items == 0 || problem.key_tiles <= kFewTiles || is_busy(problem)) return 1;
  const std::int64_t most = std::min({kMaxSplits, problem.key_tiles, problem.workers});
  // Fewer than that leave more than the rest of the workers without a piece.
  const double fewest =
      kEnough * static_cast<double>(problem.workers) / static_cast<double>(problem.items);
  const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(fewest)), 1);
  const std::int64_t enough = first_reaching(problem, first, most, kEnough);
  if (enough <= most) return enough;
  return first_reaching(problem, 1, most, kEnough * best_efficiency(problem, most));
}

SplitProblem split_problem_of(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                              std::int64_t multiprocessors) noexcept {
  const std::int64_t rows = operands.max_query_rows();
  SplitProblem problem;
  problem.is_decode = rows <= kDecodeRows;
  const std::int64_t block_rows = problem.is_decode ? kDecodeRows : kPrefillRows;
  const std::int64_t sequences = std::min(args.num_sequences, args.num_query_tokens);
  const std::int64_t blocks =
      std::min(sequences * ceil_div(rows, block_rows),
               ceil_div(args.num_query_tokens * operands.pack, block_rows) + sequences);
  problem.items = blocks * (args.num_heads / operands.pack);
  problem.key_tiles = ceil_div(operands.max_key_tokens, kKeyTile);
  // A block on each: where two fit they share its bandwidth, and parts cost a launch.
  problem.workers = args.num_workers != 0 ? args.num_workers : multiprocessors;
  return problem;
}

SplitWorkspace::SplitWorkspace(const Fp8AttentionOperands& operands, std::int64_t parts) noexcept
    : rows_(operands.output.tokens * operands.output.heads),
      width_(operands.output.width),
      parts_(parts) {}

std::int64_t SplitWorkspace::bytes() const noexcept {
  return aligned(parts_ * output_split_stride() * 4) + aligned(parts_ * lse_split_stride() * 4);
}

float* SplitWorkspace::lses(void* workspace) const noexcept {
  return outputs(workspace) + aligned(parts_ * output_split_stride() * 4) / 4;
}

std::int64_t SplitWorkspace::most_parts(const Fp8AttentionOperands& operands,
                                        std::int64_t workspace_bytes) noexcept {
  std::int64_t parts = std::min(kMaxSplits, workspace_bytes / SplitWorkspace(operands, 1).bytes());
  // Gaps are fewer of many parts.
  while (parts < kMaxSplits && SplitWorkspace(operands, parts + 1).bytes() <= workspace_bytes) {
    ++parts;
  }
  return parts;
}

std::int64_t wanted_splits(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                           std::int64_t multiprocessors) noexcept {
  if (args.num_splits != 0) return args.num_splits;
  // A window's keys lie in few parts of all keys.
  if (args.invariant || operands.window_left != kUnboundedWindow) return 1;
  return best_splits(split_problem_of(operands, args, multiprocessors));
}

std::int64_t splits_of(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                       std::int64_t multiprocessors) noexcept {
  if (args.num_splits != 0) return args.num_splits;
  if (args.workspace == nullptr) return 1;
  const std::int64_t room = SplitWorkspace::most_parts(operands, args.workspace_bytes);
  return room < 2 ? 1 : std::min(wanted_splits(operands, args, multiprocessors), room);
}

}  // namespace jit::inline v1::kernels
