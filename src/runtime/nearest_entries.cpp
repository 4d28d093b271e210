#include "runtime/nearest_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <tuple>

#include "cache/inspection.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;

std::optional<double> number(const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return static_cast<double>(value);
}

// 0 to 1: 96 is nearer to 128 than 256 is.
double distance(const Difference& difference) {
  const auto from = number(difference.from);
  const auto to = number(difference.to);
  if (!from || !to) return 1;
  const double most = std::max(std::abs(*from), std::abs(*to));
  return most == 0 ? 0 : std::min(1.0, std::abs(*from - *to) / (2 * most));
}

// What is less is nearer.
struct Rank {
  std::size_t architectures = 0, constants = 0;
  double constant_distance = 0;
  std::size_t options = 0, others = 0, toolchains = 0;

  explicit Rank(const std::vector<Difference>& differences) {
    for (const Difference& difference : differences) {
      switch (difference.component) {
        case Component::kArchitecture: ++architectures; break;
        case Component::kConstant:
          ++constants;
          constant_distance += distance(difference);
          break;
        case Component::kOption: ++options; break;
        case Component::kToolchain: ++toolchains; break;
        default: ++others; break;
      }
    }
  }
  auto tied() const {
    return std::tie(architectures, constants, constant_distance, options, others, toolchains);
  }
  bool operator<(const Rank& other) const { return tied() < other.tied(); }
};

// Whether an entry made by `from` is passed over where `asked` is the compiler at hand.
bool is_other_toolchain(const EntryQuery& asked, const ToolchainId& from) {
  Miss ignored;
  return !may_answer(asked, from.release, from == asked.toolchain, ignored);
}

class Search {
 public:
  Search(const Entry& asked, const NearestBounds& bounds) : asked_(asked), bounds_(bounds) {}

  void look_into(const Directory& directory, ToolchainPolicy policy) {
    const auto consider_file = [&](EntryInfo&& info) {
      if (info.summary) {
        consider({TierKind::kDirectory, info.path, std::move(info.summary->entry), {}}, policy);
      }
    };
    // All of this key lie in one of 256 directories.
    for (EntryInfo& info : list_entries(directory, asked_.key.hex())) {
      consider_file(std::move(info));
    }
    const Clock::time_point end = Clock::now() + bounds_.time;
    std::size_t files = 0;
    const bool all = visit_entries(directory, {}, [&](EntryInfo&& info) {
      if (++files > bounds_.entries || Clock::now() > end) return false;
      ++result_.looked_at;
      if (info.key_hex != asked_.key.hex()) consider_file(std::move(info));
      return true;
    });
    result_.complete = result_.complete && all;
  }

  // The index tells which entries are of the template; their heads alone are read.
  void look_into(const Pack& pack, ToolchainPolicy policy) {
    const Clock::time_point end = Clock::now() + bounds_.time;
    std::size_t others = 0;
    for (const PackedEntry& packed : pack.list()) {
      if (packed.name != asked_.name) continue;
      const bool is_asked = packed.key == asked_.key;
      if (!is_asked && (++others > bounds_.entries || Clock::now() > end)) {
        result_.complete = false;
        continue;
      }
      ++result_.looked_at;
      auto summary = pack.summary_of(packed);
      if (!summary) continue;
      consider({TierKind::kPack, pack.path(), std::move(summary->entry), {}}, policy);
    }
  }

  NearestEntries take() {
    for (auto& [rank, near] : nearest_) result_.entries.push_back(std::move(near));
    return std::move(result_);
  }

 private:
  void consider(NearEntry near, ToolchainPolicy policy) {
    if (near.entry.name != asked_.name) return;
    near.differences = differences(near.entry, asked_);
    EntryQuery query;
    query.toolchain = asked_.artifact.toolchain;
    query.policy = policy;
    const bool told = is_other_toolchain(query, near.entry.artifact.toolchain);
    std::erase_if(near.differences, [&](const Difference& difference) {
      return difference.component == Component::kProducer ||
             (difference.component == Component::kToolchain && !told);
    });
    const Rank rank(near.differences);
    const auto at =
        std::upper_bound(nearest_.begin(), nearest_.end(), rank,
                         [](const Rank& value, const auto& known) { return value < known.first; });
    nearest_.insert(at, {rank, std::move(near)});
    if (nearest_.size() > bounds_.keep) nearest_.pop_back();
  }

  const Entry& asked_;
  const NearestBounds& bounds_;
  NearestEntries result_;
  std::vector<std::pair<Rank, NearEntry>> nearest_;
};

}  // namespace

NearestEntries find_nearest(const ArtifactSource& source, const Entry& asked,
                            const NearestBounds& bounds) {
  Search search(asked, bounds);
  if (source.directory() != nullptr) {
    search.look_into(*source.directory(), source.options().toolchain_policy);
  }
  const Tiers& tiers = source.tiers();
  for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
    const Pack* const pack = tiers.pack(tier);
    if (pack != nullptr) search.look_into(*pack, source.options().pack_toolchain_policy);
  }
  return search.take();
}

std::string text_of(const std::vector<Difference>& differences, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, differences.size()); ++i) {
    text += (i == 0 ? "" : ", ") + differences[i].text();
  }
  if (differences.size() > most) text += fmt::format(" and {} more", differences.size() - most);
  return text;
}

}  // namespace jit::inline v1
