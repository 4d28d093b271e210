#include "runtime/recording_replay.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "signature/recorded_request.hpp"

namespace jit::inline v1 {

Replay replay(TemplateRegistry& templates, const Recording& recording) {
  Replay replay;
  std::set<std::pair<std::string, Debug>> known;
  for (const auto& [request, place] : recording.requests()) {
    try {
      Signature signature = resolve(templates.find(request.name), request);
      if (!known.emplace(signature.text(), request.debug).second) continue;
      replay.requests.push_back({std::move(signature), request.debug, place});
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
