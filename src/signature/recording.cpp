#include "jit/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.hpp"
#include "base/lines.hpp"
#include "jit/error.hpp"
#include "signature/key.hpp"
#include "signature/recorded_json.hpp"
#include "signature/recorded_request.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Made at load: a child of fork() would wait for ever for a thread that made it at its first use.
const json kNone = json::object();

// The members of an object that may be missing, sorted by name as JSON objects are here.
const json& members_of(const json& line, const char* name) {
  const auto member = line.find(name);
  if (member == line.end()) return kNone;
  if (!member->is_object()) throw LineSkip{fmt::format("{} is no object", name)};
  return *member;
}

RecordedRequest request_of(std::string_view line) {
  if (line.size() > Recording::kMaxLineBytes) throw LineSkip{"it is longer than any request"};
  const json document = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw LineSkip{"it is torn, or no JSON"};
  if (!document.is_object() || !document.contains("template")) {
    throw LineSkip{"it names no template"};
  }
  RecordedRequest request{recorded_text(document["template"], "template"), {}, {}, Debug::kNone};
  for (const auto& [name, value] : members_of(document, "constants").items()) {
    request.constants.push_back(recorded_constant(name, value));
  }
  for (const auto& [name, value] : members_of(document, "buckets").items()) {
    request.buckets.push_back({name, recorded_text(value, fmt::format("bucket {}", name))});
  }
  if (const auto debug = document.find("debug"); debug != document.end()) {
    const auto kind = parse_debug_kind(recorded_text(*debug, "debug"));
    if (!kind)
      throw LineSkip{fmt::format("debug is {}, not none, lineinfo or full", debug->dump())};
    request.debug = *kind;
  }
  return request;
}

}  // namespace

std::string RecordedRequest::text() const {
  ordered_json line = ordered_json::object();
  line["template"] = name;
  line["constants"] = json_of(constants);
  line["buckets"] = json_of(buckets);
  line["debug"] = std::string(name_of(debug));
  return line_of(line);
}

Recording Recording::read(const std::filesystem::path& file) {
  int error = 0;
  const auto text = read_file(file, kMaxBytes, &error);
  if (text) return parse(*text, file.string());
  std::string reason = error_text(error);
  if (error == EFBIG) reason = fmt::format("it is longer than {} MiB", kMaxBytes >> 20);
  if (error == EINVAL) reason = "it is no regular file";
  throw Error(ErrorCode::kIo,
              fmt::format("read recording {}: {}; give a file that CUBINET_RECORD or cubinet "
                          "record merge wrote",
                          file.string(), reason));
}

Recording Recording::parse(std::string_view text, std::string_view source) {
  Recording recording;
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    std::string place = fmt::format("{}:{}", source, number);
    try {
      recording.add(request_of(line), std::move(place));
    } catch (const LineSkip& skip) {
      recording.skipped_.push_back({fmt::format("{}:{}", source, number), skip.reason});
    }
  });
  return recording;
}

void Recording::add(RecordedRequest request, std::string place) {
  std::sort(request.constants.begin(), request.constants.end());
  std::sort(request.buckets.begin(), request.buckets.end());
  requests_.emplace(std::move(request), std::move(place));
}

void Recording::merge(const Recording& other) {
  requests_.insert(other.requests_.begin(), other.requests_.end());
  skipped_.insert(skipped_.end(), other.skipped_.begin(), other.skipped_.end());
}

std::string Recording::text() const {
  std::string text;
  for (const auto& [request, place] : requests_) text += request.text() + '\n';
  return text;
}

}  // namespace jit::inline v1
