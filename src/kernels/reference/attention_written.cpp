#include "kernels/reference/attention_written.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "kernels/reference/attention_keys.hpp"
#include "kernels/reference/parallel.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr std::byte kPoison{0xFF};

// Outer is the dimension whose stride is the larger one: rows lie in memory in the order of
// (outer, inner).
struct Layout {
  bool token_major = true;
  std::int64_t outer = 0;
  std::int64_t inner = 0;
};

class Writing {
 public:
  Writing(const AttentionProblem& problem, const AttentionOutput& output,
          const AttentionCheckOptions& options)
      : problem_(problem),
        output_(output),
        poisoned_(options.poisoned),
        needs_all_(options.poisoned && options.rules.empty_row),
        bytes_(static_cast<std::int64_t>(bytes_of(output.type))),
        belongs_(static_cast<std::size_t>(problem.num_tokens)) {
    for (std::int64_t sequence = 0; sequence < problem.num_sequences; ++sequence) {
      const AttentionTokens tokens = tokens_of(problem, sequence);
      std::fill(belongs_.begin() + tokens.begin, belongs_.begin() + tokens.end, char{1});
    }
    layout_.token_major = output.token_stride >= output.head_stride || problem.num_heads == 1;
    layout_.outer = layout_.token_major ? problem.num_tokens : problem.num_heads;
    layout_.inner = layout_.token_major ? problem.num_heads : problem.num_tokens;
  }

  std::int64_t outer() const { return layout_.outer; }

  // All rows of one outer index, and what lies behind each.
  void check_rows(std::int64_t outer, AttentionWritten& found) const {
    for (std::int64_t inner = 0; inner < layout_.inner; ++inner) {
      const AttentionRow row = row_of(outer, inner);
      const std::int64_t end = offset_of(row) + problem_.head_dim_v;
      if (belongs(row.token)) {
        check_row(row, found);
      } else {
        check_untouched(row, offset_of(row), end, found);
      }
      check_untouched(row, end, next_of(outer, inner), found);
    }
  }

  void check_lse(std::int64_t head, AttentionWritten& found) const {
    if (output_.lse == nullptr || !poisoned_) return;
    const bool last = head + 1 == problem_.num_heads;
    const std::int64_t width = last ? problem_.num_tokens : output_.lse_head_stride;
    for (std::int64_t token = 0; token < width; ++token) {
      const bool wanted = belongs(token);
      if (is_poison(output_.lse + head * output_.lse_head_stride + token, 4) != wanted) continue;
      note(wanted ? found.missing : found.trespasses, {token, head},
           wanted ? "the LSE was not written" : "the LSE of no sequence was written", found);
    }
  }

 private:
  // What lies behind the last token's place is no token.
  bool belongs(std::int64_t token) const {
    return token < problem_.num_tokens && belongs_[static_cast<std::size_t>(token)] != 0;
  }
  AttentionRow row_of(std::int64_t outer, std::int64_t inner) const {
    return layout_.token_major ? AttentionRow{outer, inner} : AttentionRow{inner, outer};
  }
  std::int64_t offset_of(const AttentionRow& row) const {
    return row.token * output_.token_stride + row.head * output_.head_stride;
  }
  // Where the next row begins; behind the last one nothing is known.
  std::int64_t next_of(std::int64_t outer, std::int64_t inner) const {
    if (inner + 1 < layout_.inner) return offset_of(row_of(outer, inner + 1));
    if (outer + 1 < layout_.outer) return offset_of(row_of(outer + 1, 0));
    return 0;
  }
  const std::byte* at(std::int64_t offset) const {
    return static_cast<const std::byte*>(output_.output) + offset * bytes_;
  }
  static bool is_poison(const void* data, std::size_t bytes) {
    const auto* const first = static_cast<const std::byte*>(data);
    return std::all_of(first, first + bytes, [](std::byte byte) { return byte == kPoison; });
  }
  static void note(std::uint64_t& count, const AttentionRow& row, const std::string& what,
                   AttentionWritten& found) {
    ++count;
    if (!found.first_failure.empty()) return;
    found.first_failure = fmt::format("token {}, head {}: {}", row.token, row.head, what);
  }

  void check_row(const AttentionRow& row, AttentionWritten& found) const {
    const std::byte* const first = at(offset_of(row));
    const std::byte* const last = first + problem_.head_dim_v * bytes_;
    // The usual row has no byte like that: one look at it is quick.
    if (std::memchr(first, 0xFF, static_cast<std::size_t>(last - first)) != nullptr && needs_all_) {
      for (std::int64_t i = 0; i < problem_.head_dim_v; ++i) {
        if (!is_poison(first + i * bytes_, static_cast<std::size_t>(bytes_))) continue;
        note(found.missing, row, fmt::format("element {} was not written", i), found);
      }
    }
    if (output_.type != DType::kE4M3) return;
    const auto codes = std::count_if(
        first, last, [](std::byte code) { return (code & std::byte{0x7F}) == std::byte{0x7F}; });
    for (auto i = codes; i > 0; --i) note(found.nan_codes, row, "a code is NaN", found);
  }

  void check_untouched(const AttentionRow& row, std::int64_t begin, std::int64_t end,
                       AttentionWritten& found) const {
    if (!poisoned_ || begin >= end || is_poison(at(begin), size_between(begin, end))) return;
    note(found.trespasses, row, "elements of no sequence, there or behind, were written", found);
  }
  std::size_t size_between(std::int64_t begin, std::int64_t end) const {
    return static_cast<std::size_t>((end - begin) * bytes_);
  }

  const AttentionProblem& problem_;
  const AttentionOutput& output_;
  bool poisoned_;
  bool needs_all_;  // elements, of every row
  std::int64_t bytes_;
  std::vector<char> belongs_;  // of tokens: to a sequence
  Layout layout_;
};

}  // namespace

AttentionWritten check_written(const AttentionProblem& problem, const AttentionOutput& output,
                               const AttentionCheckOptions& options) {
  const Writing writing(problem, output, options);
  std::vector<AttentionWritten> parts(static_cast<std::size_t>(writing.outer()));
  parallel_for(writing.outer(), options.threads, [&](std::int64_t outer, unsigned) {
    writing.check_rows(outer, parts[static_cast<std::size_t>(outer)]);
  });
  AttentionWritten found;
  for (const AttentionWritten& part : parts) {
    found.missing += part.missing;
    found.trespasses += part.trespasses;
    found.nan_codes += part.nan_codes;
    if (found.first_failure.empty()) found.first_failure = part.first_failure;
  }
  for (std::int64_t head = 0; head < problem.num_heads; ++head) writing.check_lse(head, found);
  return found;
}

}  // namespace jit::inline v1::reference
