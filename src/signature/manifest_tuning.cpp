#include "signature/manifest_tuning.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "signature/manifest.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {
namespace {

// As many entries make timing one variant a matter of seconds: sizes are to be representative.
constexpr std::size_t kMaxEntries = 256;

bool equal(std::span<const Size> a, std::span<const Size> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Size& one, const Size& other) {
    return one.name == other.name && one.value == other.value;
  });
}

bool has_candidates(const table::ConstantDecl& decl) {
  return decl.role == table::Role::kTunable &&
         (decl.type == table::Type::kBool || !decl.values.empty() || !decl.candidates.empty());
}

// Members come sorted by name, so that equal entries are equal lists.
std::span<const Size> read_entry(const JsonCursor& entry, const table::Template& tmpl,
                                 TableArena& arena) {
  std::vector<Size> sizes;
  for (const auto& [name, cursor] : entry.members()) {
    const table::RuntimeDecl* decl = find_run_time(tmpl, name);
    if (decl == nullptr) cursor.refuse(fmt::format("\"{}\" is not declared in run_time", name));
    const std::int64_t value = cursor.integer();
    if (value < 0) cursor.refuse("expected 0 or more: a size is never negative");
    sizes.emplace_back(decl->name, value);
  }
  if (sizes.empty()) entry.refuse("expected at least one size");
  if (sizes.size() > Sizes::kMaxSizes) {
    entry.refuse(fmt::format("expected at most {} sizes", Sizes::kMaxSizes));
  }
  return arena.keep(std::move(sizes));
}

BucketSteps steps_of_entry(const table::Template& tmpl, std::span<const Size> entry) {
  Sizes sizes;
  for (const Size& size : entry) sizes.add(size);
  return steps_of(tmpl, sizes);
}

void require_every_step(const JsonCursor& list, const table::Template& tmpl,
                        std::span<const table::TuningSizes> entries) {
  std::vector<std::vector<bool>> seen;
  for (const table::BucketDecl& bucket : tmpl.buckets) seen.emplace_back(bucket.steps.size());
  for (const table::TuningSizes& entry : entries) {
    const BucketSteps steps = steps_of_entry(tmpl, entry.sizes);
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i][steps[i]] = true;
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto missing = std::find(seen[i].begin(), seen[i].end(), false);
    if (missing == seen[i].end()) continue;
    const table::BucketDecl& bucket = tmpl.buckets[i];
    const auto step = static_cast<std::size_t>(missing - seen[i].begin());
    list.refuse(fmt::format("no entry has a {} in step {} of bucket {}; add one", bucket.size,
                            bucket.steps[step].label, bucket.name));
  }
}

}  // namespace

std::span<const table::TuningSizes> read_tuning_sizes(const JsonCursor& tuning,
                                                      const table::Template& tmpl,
                                                      TableArena& arena) {
  tuning.allow_keys({"sizes"});
  if (std::none_of(tmpl.constants.begin(), tmpl.constants.end(), has_candidates)) {
    tuning.refuse("no tunable has values or candidates; there is nothing to choose");
  }
  const JsonCursor list = tuning.at("sizes");
  std::vector<table::TuningSizes> entries;
  for (const JsonCursor& item : list.items()) {
    const std::span<const Size> sizes = read_entry(item, tmpl, arena);
    const bool twice =
        std::any_of(entries.begin(), entries.end(),
                    [&](const table::TuningSizes& other) { return equal(other.sizes, sizes); });
    if (twice) item.refuse("is listed twice");
    entries.push_back({sizes});
    if (entries.size() > kMaxEntries) {
      list.refuse(fmt::format("expected at most {} entries", kMaxEntries));
    }
  }
  if (entries.empty()) list.refuse("expected at least one entry");
  require_every_step(list, tmpl, entries);
  return arena.keep(std::move(entries));
}

}  // namespace jit::inline v1
