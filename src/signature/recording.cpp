#include "jit/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.hpp"
#include "jit/error.hpp"
#include "signature/key.hpp"
#include "signature/recorded_request.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Why a line is no request.
struct Skip {
  std::string reason;
};

std::string text_of(const json& value, std::string_view what) {
  if (!value.is_string()) throw Skip{fmt::format("{} is no text", what)};
  return value.get<std::string>();
}

RecordedConstant constant_of(const std::string& name, const json& value) {
  if (value.is_boolean()) return {name, value.get<bool>()};
  if (value.is_string()) return {name, value.get<std::string>()};
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  if (!fits) throw Skip{fmt::format("constant {} is no integer, bool or text", name)};
  return {name, value.get<std::int64_t>()};
}

// The members of an object that may be missing, sorted by name as JSON objects are here.
const json& members_of(const json& line, const char* name) {
  static const json none = json::object();
  const auto member = line.find(name);
  if (member == line.end()) return none;
  if (!member->is_object()) throw Skip{fmt::format("{} is no object", name)};
  return *member;
}

RecordedRequest request_of(std::string_view line) {
  if (line.size() > Recording::kMaxLineBytes) throw Skip{"it is longer than any request"};
  const json document = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw Skip{"it is torn, or no JSON"};
  if (!document.is_object() || !document.contains("template")) {
    throw Skip{"it names no template"};
  }
  RecordedRequest request{text_of(document["template"], "template"), {}, {}, Debug::kNone};
  for (const auto& [name, value] : members_of(document, "constants").items()) {
    request.constants.push_back(constant_of(name, value));
  }
  for (const auto& [name, value] : members_of(document, "buckets").items()) {
    request.buckets.push_back({name, text_of(value, fmt::format("bucket {}", name))});
  }
  if (const auto debug = document.find("debug"); debug != document.end()) {
    const auto kind = parse_debug_kind(text_of(*debug, "debug"));
    if (!kind) throw Skip{fmt::format("debug is {}, not none, lineinfo or full", debug->dump())};
    request.debug = *kind;
  }
  return request;
}

// Calls `take` with every line that is not empty, and its number from 1.
template <class Take>
void for_each_line(std::string_view text, const Take& take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) take(line, number);
  }
}

}  // namespace

std::string RecordedRequest::text() const {
  ordered_json constant_values = ordered_json::object();
  for (const RecordedConstant& constant : constants) {
    std::visit([&](const auto& value) { constant_values[constant.name] = value; }, constant.value);
  }
  ordered_json steps = ordered_json::object();
  for (const RecordedBucket& bucket : buckets) steps[bucket.name] = bucket.step;
  ordered_json line = ordered_json::object();
  line["template"] = name;
  line["constants"] = std::move(constant_values);
  line["buckets"] = std::move(steps);
  line["debug"] = std::string(name_of(debug));
  return line.dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
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
    } catch (const Skip& skip) {
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
