#include "runtime/recording_replay.hpp"

#include <fmt/format.h>

#include <map>
#include <span>
#include <string>
#include <utility>

namespace jit::inline v1 {

Replay replay(TemplateRegistry& templates, const Recording& recording) {
  Replay replay;
  std::map<std::pair<std::string, Debug>, std::size_t> known;  // by signature, where it is
  for (const auto& [request, place] : recording.requests()) {
    try {
      const table::Template& tmpl = templates.find(request.name);
      RequestParts parts = parts_of(tmpl, request);
      Signature signature = resolve(tmpl, std::span<const Constant>(parts.constants), parts.steps);
      const auto [at, is_new] =
          known.emplace(std::pair(signature.text(), request.debug), replay.requests.size());
      if (is_new) replay.requests.push_back({std::move(signature), {}, request.debug, place});
      replay.requests[at->second].asked.push_back(std::move(parts));
    } catch (const Error& error) {
      replay.unknown.push_back({request.name, place, error});
    }
  }
  return replay;
}

std::string text_of(const UnknownRequest& unknown) {
  if (unknown.place.empty()) return fmt::format("replay: {}", unknown.error.what());
  return fmt::format("replay {}: {}", unknown.place, unknown.error.what());
}

std::string text_of(const SkippedLine& skipped) {
  return fmt::format("read recording {}: the line is skipped: {}", skipped.place, skipped.reason);
}

}  // namespace jit::inline v1
