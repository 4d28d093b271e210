#include "runtime/frozen_miss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "cache/inspection.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

// "a[X=1,Y=2]@sm_90a" -> {"X=1", "Y=2", "sm_90a"}
std::vector<std::string> parts_of(std::string_view signature) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : signature.substr(std::min(signature.find('[') + 1, signature.size()))) {
    if (c == ',' || c == ']' || c == '@') {
      if (!part.empty()) parts.push_back(std::move(part));
      part.clear();
    } else {
      part += c;
    }
  }
  parts.push_back(std::move(part));
  return parts;
}

std::size_t differences(std::string_view a, std::string_view b) {
  const auto left = parts_of(a);
  const auto right = parts_of(b);
  return static_cast<std::size_t>(
      std::count_if(left.begin(), left.end(), [&](const std::string& part) {
        return std::find(right.begin(), right.end(), part) == right.end();
      }));
}

std::string nearest_entry(const Directory& directory, std::string_view name,
                          std::string_view signature) {
  std::string nearest;
  std::size_t fewest = std::numeric_limits<std::size_t>::max();
  for (const EntryInfo& info : list_entries(directory)) {
    if (!info.summary || info.summary->entry.name != name) continue;
    const std::size_t count = differences(signature, info.summary->entry.signature);
    if (count >= fewest) continue;
    fewest = count;
    nearest = info.summary->entry.signature;
  }
  return nearest;
}

std::string command_for(const Signature& signature, Arch arch) {
  std::string command = fmt::format("cubinet precompile {}", signature.tmpl->name);
  for (std::size_t i = 0; i < signature.values.size(); ++i) {
    command += fmt::format(" --set {}={}", signature.tmpl->constants[i].name,
                           format_value(signature.values[i]));
  }
  return command + " --arch " + arch.text();
}

}  // namespace

Error make_frozen_miss(const Directory* directory, const Signature& signature, Arch arch) {
  const std::string text = signature.text(arch);
  std::string nearest;
  if (directory != nullptr) nearest = nearest_entry(*directory, signature.tmpl->name, text);
  const std::string where = directory == nullptr ? "memory" : directory->root().string();
  return {ErrorCode::kFrozenMiss,
          fmt::format("get {}: not in the cache ({}) and CUBINET_MODE=frozen forbids compiling; "
                      "nearest entry: {}; add it with: {}",
                      text, where, nearest.empty() ? "none of this template" : nearest,
                      command_for(signature, arch))};
}

}  // namespace jit::inline v1
