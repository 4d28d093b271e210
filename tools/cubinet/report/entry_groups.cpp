#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "cubinet/report/entries_section.hpp"

namespace jit::inline v1 {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Moves what all entries have from `own` to `common`.
void tell_apart(EntryGroup& group) {
  std::map<std::string, std::size_t> counts;
  for (const ReportEntry* entry : group.entries) {
    for (const std::string& part : split(entry->constants)) ++counts[part];
  }
  const bool several = group.entries.size() > 1;
  const auto is_common = [&](const std::string& part) {
    return several && counts[part] == group.entries.size();
  };
  for (const ReportEntry* entry : group.entries) {
    std::string own;
    std::string common;
    for (const std::string& part : split(entry->constants)) {
      std::string& text = is_common(part) ? common : own;
      text.append(text.empty() ? "" : ", ").append(part);
    }
    group.common = common;
    group.own.push_back(own.empty() ? "all as above" : own);
  }
}

}  // namespace

std::vector<EntryGroup> groups_of(std::span<const ReportEntry> entries) {
  std::map<std::string, EntryGroup> by_name;
  for (const ReportEntry& entry : entries) {
    EntryGroup& group = by_name[entry.name];
    group.name = entry.name;
    group.entries.push_back(&entry);
    group.bytes += entry.bytes;
    group.compile_ms += entry.compile_ms;
    group.spilling += entry.spill_bytes > 0 ? 1 : 0;
  }
  std::vector<EntryGroup> groups;
  for (auto& [name, group] : by_name) {
    const auto key = [](const ReportEntry& entry) {
      return std::tie(entry.constants, entry.arch, entry.toolchain, entry.key);
    };
    std::sort(group.entries.begin(), group.entries.end(),
              [&](const ReportEntry* a, const ReportEntry* b) { return key(*a) < key(*b); });
    tell_apart(group);
    groups.push_back(std::move(group));
  }
  return groups;
}

std::string spread_text(std::vector<double> values) {
  if (values.empty()) return "none";
  std::sort(values.begin(), values.end());
  const auto text = [](double value) {
    return fmt::format("{:.{}f}", value,
                       value == static_cast<double>(static_cast<long>(value)) ? 0 : 1);
  };
  if (values.front() == values.back()) return text(values.front());
  return fmt::format("{} to {}, median {}", text(values.front()), text(values.back()),
                     text(values[values.size() / 2]));
}

}  // namespace jit::inline v1
