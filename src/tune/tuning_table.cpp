#include "tune/tuning_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "signature/values.hpp"
#include "tune/record_fit.hpp"

namespace jit::inline v1 {
namespace {

std::string key_prefix(const table::Template& tmpl) {
  std::string key(tmpl.bundle_sha256.begin(), tmpl.bundle_sha256.end());
  key += tmpl.name;
  key += '[';
  return key;
}

// Two templates of one name, one of which overrides the other, differ in their bundles.
std::string key_of(const table::Template& tmpl, std::span<const Value> values,
                   const BucketSteps& steps) {
  std::string key = key_prefix(tmpl);
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    if (tmpl.constants[i].role != table::Role::kShape) continue;
    key += format_value(values[i]);
    key += ',';
  }
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) key += static_cast<char>('0' + steps[i]);
  return key;
}

std::uint32_t distance(std::uint32_t a, std::uint32_t b) { return a > b ? a - b : b - a; }

// What a device is compared with where none is spoken of: larger than all there are.
constinit const DeviceModel kLargest{"", std::numeric_limits<std::uint32_t>::max(),
                                     std::numeric_limits<std::uint32_t>::max()};

// Smaller is nearer. Two rows of one thing differ in device or release, hence in rank.
template <class Row>
auto rank_of(const Row& row, const TuningTarget& target) {
  const DeviceModel& wanted = target.device ? *target.device : kLargest;
  const DeviceModel& device = row.device;
  const std::uint32_t newest_first =
      ~((std::uint32_t{row.release.major} << 16) | std::uint32_t{row.release.minor});
  return std::tuple(device != wanted, distance(device.multiprocessors, wanted.multiprocessors),
                    distance(device.memory_gib, wanted.memory_gib), std::string_view(device.name),
                    device.multiprocessors, device.memory_gib,
                    target.release && row.release != *target.release, newest_first,
                    row.arch.suffix);
}

void sort_and_unique(std::vector<DeviceModel>& devices) {
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
}

}  // namespace

std::string_view name_of(TuningRule rule) noexcept {
  return rule == TuningRule::kExact ? "exact" : "hint";
}

// Lifetime: all of it is kept by the arena, or static.
struct TuningTable::Offer {
  RecordView record;
  std::string_view place;
};

void TuningTable::add(const table::Template& tmpl, const Offer& offer) {
  const auto skip = [&](RecordIssue issue, std::string reason) {
    skipped_.push_back(
        {std::string(offer.place), std::string(tmpl.name), issue, std::move(reason)});
  };
  RecordFit fit = fit_record(tmpl, offer.record);
  if (fit.issue != RecordIssue::kNone) return skip(fit.issue, std::move(fit.reason));
  std::vector<Row>& rows = rows_[key_of(tmpl, fit.values, fit.steps)];
  const RecordView& record = offer.record;
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    return row.arch == fit.arch && row.release == fit.release && row.device == record.device;
  });
  if (same != rows.end() && !same->complete && record.complete) {
    skipped_.push_back({std::string(same->place), std::string(tmpl.name), RecordIssue::kReplaced,
                        fmt::format("it is not complete, and {} is", offer.place)});
    *same = {fit.arch,      fit.release,
             record.device, record.toolchain,
             offer.place,   arena_.keep(std::move(fit.set)),
             true};
    return;
  }
  if (same != rows.end()) {
    return skip(RecordIssue::kReplaced,
                fmt::format("{} counts before it, for the same thing", same->place));
  }
  rows.push_back({fit.arch, fit.release, record.device, record.toolchain, offer.place,
                  arena_.keep(std::move(fit.set)), record.complete});
  ++size_;
}

void TuningTable::add(const table::Template& tmpl, const TuningRecord& record,
                      std::string_view place) {
  const std::string_view kept = arena_.keep(std::string(place));
  table::Digest bundle{};
  const bool other = record.name != tmpl.name;
  if (other || !from_hex(record.bundle, bundle)) {
    skipped_.push_back({std::string(place), record.name,
                        other ? RecordIssue::kOtherTemplate : RecordIssue::kDamaged,
                        other ? fmt::format("it is not of {}", tmpl.name)
                              : std::string("bundle is no digest of 64 hex digits")});
    return;
  }
  const std::vector<Constant> shape = constants_of(record.shape);
  const std::vector<Constant> steps = steps_of(record.buckets);
  const std::vector<Constant> set = constants_of(record.set);
  add(tmpl, Offer{{record.arch, arena_.keep(record.toolchain), record.device, bundle, shape, steps,
                   set, record.evidence.complete},
                  kept});
}

void TuningTable::add(const table::Template& tmpl, const table::TuningRecord& record) {
  if (!record.problem.empty()) {
    skipped_.push_back({std::string(record.place), std::string(tmpl.name), RecordIssue::kDamaged,
                        std::string(record.problem)});
    return;
  }
  add(tmpl, Offer{{record.arch,
                   record.toolchain,
                   {std::string(record.device), record.multiprocessors, record.memory_gib},
                   record.bundle_sha256,
                   record.shape,
                   record.steps,
                   record.set},
                  record.place});
}

void TuningTable::add(std::vector<TuningLine> lines, const FindTemplate& find) {
  sort_newest_first(lines);
  for (const TuningLine& line : lines) {
    if (!line.record) {
      skipped_.push_back({line.place, {}, RecordIssue::kDamaged, line.why});
      continue;
    }
    const std::string& name = line.record->name;
    if (const table::Template* tmpl = find(name)) {
      add(*tmpl, *line.record, line.place);
    } else {
      skipped_.push_back({line.place, name, RecordIssue::kOtherTemplate,
                          fmt::format("there is no template {} here", name)});
    }
  }
}

const std::vector<TuningTable::Row>* TuningTable::rows_of(const table::Template& tmpl,
                                                          std::span<const Value> values,
                                                          const BucketSteps& steps) const {
  if (rows_.empty()) return nullptr;
  const auto found = rows_.find(key_of(tmpl, values, steps));
  return found == rows_.end() ? nullptr : &found->second;
}

bool TuningTable::agrees(const Row& row, std::span<const Constant> pinned) {
  return std::none_of(pinned.begin(), pinned.end(), [&](const Constant& given) {
    return std::any_of(row.set.begin(), row.set.end(), [&](const Constant& chosen) {
      return chosen.name == given.name && !(chosen.value == given.value);
    });
  });
}

std::optional<TunedChoice> TuningTable::choose(const table::Template& tmpl,
                                               std::span<const Value> values,
                                               std::span<const Constant> pinned,
                                               const BucketSteps& steps,
                                               const TuningTarget& target) const {
  const std::vector<Row>* rows = rows_of(tmpl, values, steps);
  if (rows == nullptr) return std::nullopt;
  const Row* nearest = nullptr;
  for (const Row& row : *rows) {
    if (row.arch.capability() != target.arch.capability() || !agrees(row, pinned)) continue;
    if (nearest == nullptr || rank_of(row, target) < rank_of(*nearest, target)) nearest = &row;
  }
  if (nearest == nullptr) return std::nullopt;
  return choice_of(*nearest, target);
}

TunedChoice TuningTable::choice_of(const Row& row, const TuningTarget& target) {
  const bool exact = target.device && row.device == *target.device &&
                     (!target.release || row.release == *target.release);
  return {exact ? TuningRule::kExact : TuningRule::kHint, row.set, row.device.name, row.toolchain,
          row.place};
}

std::vector<TunedChoice> TuningTable::choices(const table::Template& tmpl,
                                              std::span<const Value> values,
                                              std::span<const Constant> pinned,
                                              const BucketSteps& steps, Arch arch) const {
  std::vector<TunedChoice> choices;
  const std::vector<Row>* rows = rows_of(tmpl, values, steps);
  if (rows == nullptr) return choices;
  const TuningTarget nobody{arch, std::nullopt, std::nullopt};
  for (const Row& row : *rows) {
    if (row.arch.capability() != arch.capability() || !agrees(row, pinned)) continue;
    choices.push_back(choice_of(row, nobody));
  }
  return choices;
}

std::uint64_t TuningTable::digest() const {
  // A sum, so that the order in which records of one thing came does not matter.
  std::uint64_t sum = 0;
  for (const auto& [key, rows] : rows_) {
    for (const Row& row : rows) {
      std::string text = key + row.arch.text() + '/' + row.release.text() + '/' + row.device.name;
      text += fmt::format("/{}/{}", row.device.multiprocessors, row.device.memory_gib);
      for (const Constant& constant : row.set) {
        text += fmt::format(",{}={}", constant.name, format_value(constant.value));
      }
      const Sha256Digest digest = sha256(text);
      for (std::size_t i = 0, weight = 0; i < 8; ++i, weight += 8) {
        sum += std::uint64_t{digest[i]} << weight;
      }
    }
  }
  return sum;
}

std::vector<DeviceModel> TuningTable::devices(const table::Template& tmpl, Arch arch) const {
  std::vector<DeviceModel> devices;
  const std::string prefix = key_prefix(tmpl);
  for (auto found = rows_.lower_bound(prefix);
       found != rows_.end() && found->first.starts_with(prefix); ++found) {
    for (const Row& row : found->second) {
      if (row.arch.capability() == arch.capability()) devices.push_back(row.device);
    }
  }
  sort_and_unique(devices);
  return devices;
}

}  // namespace jit::inline v1
