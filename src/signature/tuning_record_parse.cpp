#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/hex.hpp"
#include "base/lines.hpp"
#include "signature/recorded_json.hpp"
#include "signature/tuning_evidence_json.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;

// A record is at most six deep; what is deeper was made to exhaust a reader.
constexpr int kMaxDepth = 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Finds torn and hostile lines before anything is built from them.
// Returns: where its last member that is an object or an array begins, if nothing but the end of
// the line follows it; else npos. Errors: LineSkip unless `line` is one object whose brackets close
// at its end.
std::size_t check_brackets(std::string_view line) {
  int depth = 0;
  std::size_t last_member = std::string_view::npos;
  bool ends_with_it = false;
  bool in_text = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text) {
      if (c == '\\') ++i;
      in_text = c != '"';
      continue;
    }
    if (c == '"') in_text = true;
    if ((c == '{' || c == '[') && ++depth == 2) last_member = i;
    if (depth == 1 && c != '}' && !is_space(c)) ends_with_it = false;
    if ((c == '}' || c == ']') && --depth == 1) ends_with_it = true;
    if (depth > kMaxDepth) throw LineSkip{"it is nested deeper than any record"};
    if (depth <= 0 && !is_space(c) && i + 1 < line.size()) {
      const std::string_view rest = line.substr(i + 1);
      if (!std::all_of(rest.begin(), rest.end(), is_space)) throw LineSkip{"it is no JSON object"};
    }
  }
  if (depth != 0 || in_text) throw LineSkip{"it is torn: its end is missing"};
  return ends_with_it ? last_member : std::string_view::npos;
}

const json& member_of(const json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end()) throw LineSkip{fmt::format("it has no {}", name)};
  return *member;
}

const json& object_of(const json& object, const char* name) {
  const json& member = member_of(object, name);
  if (!member.is_object()) throw LineSkip{fmt::format("{} is no object", name)};
  return member;
}

// Text that people are shown as it is: one line, and something in it.
std::string plain_text(const json& value, std::string_view what) {
  std::string text = recorded_text(value, what);
  const auto is_control = [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; };
  if (text.empty()) throw LineSkip{fmt::format("{} is empty", what)};
  if (std::any_of(text.begin(), text.end(), is_control)) {
    throw LineSkip{fmt::format("{} has control characters", what)};
  }
  return text;
}

std::string plain_member(const json& object, const char* name) {
  return plain_text(member_of(object, name), name);
}

std::uint32_t count_of(const json& object, const char* name) {
  const json& value = member_of(object, name);
  const bool fits = value.is_number_unsigned() &&
                    value.get<std::uint64_t>() <= std::numeric_limits<std::uint32_t>::max();
  if (!fits) throw LineSkip{fmt::format("{} is no count", name)};
  return value.get<std::uint32_t>();
}

std::vector<RecordedConstant> constants_of(const json& object) {
  std::vector<RecordedConstant> constants;  // sorted, as the members of a json object are
  for (const auto& [name, value] : object.items()) {
    constants.push_back(recorded_constant(plain_text(name, "a name"), value));
    if (value.is_string()) plain_text(value, fmt::format("constant {}", name));
  }
  return constants;
}

std::vector<RecordedBucket> buckets_of(const json& object) {
  std::vector<RecordedBucket> buckets;
  for (const auto& [name, value] : object.items()) {
    buckets.push_back(
        {plain_text(name, "a name"), plain_text(value, fmt::format("bucket {}", name))});
  }
  return buckets;
}

std::string digest_of(const json& document) {
  std::string digest = plain_member(document, "bundle");
  table::Digest bytes{};
  if (!from_hex(digest, bytes)) throw LineSkip{"bundle is no digest of 64 hex digits"};
  return digest;
}

// "2026-11-21T18:00:00Z": other spellings would not be ordered as text.
std::string time_of(const json& value) {
  std::string time = recorded_text(value, "at");
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  const bool fits =
      std::equal(time.begin(), time.end(), kForm.begin(), kForm.end(),
                 [](char c, char form) { return form == 'd' ? c >= '0' && c <= '9' : c == form; });
  if (!fits) throw LineSkip{"at is no time such as 2026-11-21T18:00:00Z"};
  return time;
}

DeviceModel device_of(const json& object) {
  return {plain_member(object, "name"), count_of(object, "multiprocessors"),
          count_of(object, "memory_gib")};
}

// All but the evidence.
TuningRecord choice_of(const json& document) {
  TuningRecord record;
  record.name = plain_member(document, "template");
  record.shape = constants_of(object_of(document, "shape"));
  record.buckets = buckets_of(object_of(document, "buckets"));
  record.arch = plain_member(document, "arch");
  if (!Arch::parse(record.arch)) throw LineSkip{"arch is no architecture such as sm_90a"};
  record.toolchain = plain_member(document, "toolchain");
  if (!parse_release(record.toolchain)) throw LineSkip{"toolchain is no release such as 13.0"};
  record.bundle = digest_of(document);
  record.device = device_of(object_of(document, "device"));
  record.set = constants_of(object_of(document, "set"));
  if (record.set.empty()) throw LineSkip{"set is empty"};
  if (const auto at = document.find("at"); at != document.end()) record.evidence.at = time_of(*at);
  if (const auto complete = document.find("complete"); complete != document.end()) {
    if (!complete->is_boolean()) throw LineSkip{"complete is neither true nor false"};
    record.evidence.complete = complete->get<bool>();
  }
  return record;
}

json parsed(std::string_view text) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) throw LineSkip{"it is no JSON object"};
  return document;
}

// The head of a line as text() writes it: it ends where its last member, the evidence, begins.
// These characters stand in no JSON text, where a quote is escaped. Returns: nullopt where the
// members are in another order; then the line is to be read whole.
std::optional<TuningRecord> choice_of_head(std::string_view line, std::size_t last_member) {
  constexpr std::string_view kEvidence = R"(,"evidence":{)";
  const std::size_t end = line.find(kEvidence);
  if (end == std::string_view::npos || end + kEvidence.size() - 1 != last_member) {
    return std::nullopt;
  }
  try {
    return choice_of(parsed(std::string(line.substr(0, end)) + "}"));
  } catch (const LineSkip&) {
    return std::nullopt;
  }
}

void add_evidence(TuningRecord& record, const json& document, std::string& why) {
  const auto evidence = document.find("evidence");
  if (evidence == document.end()) return;
  try {
    TuningEvidence read = evidence_of(*evidence, record.set);
    read.at = std::move(record.evidence.at);
    read.complete = record.evidence.complete;
    record.evidence = std::move(read);
  } catch (const LineSkip& skip) {
    why = fmt::format("its evidence is none: {}", skip.reason);
  }
}

TuningRecord record_of(std::string_view line, RecordPart part, std::string& why) {
  if (line.size() > kMaxTuningLineBytes) throw LineSkip{"it is longer than any record"};
  const std::size_t last_member = check_brackets(line);
  auto head = choice_of_head(line, last_member);
  if (head && part == RecordPart::kChoice) return *std::move(head);
  const json document = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (head && !document.is_object()) {
    // Whoever reads the choice alone goes by it, and so it is one for all.
    why = "its evidence is none: it is no JSON object";
    return *std::move(head);
  }
  if (!document.is_object()) throw LineSkip{"it is no JSON object"};
  TuningRecord record = choice_of(document);
  if (part == RecordPart::kWhole) add_evidence(record, document, why);
  return record;
}

}  // namespace

std::optional<TuningRecord> parse_tuning_record(std::string_view line, std::string& why,
                                                RecordPart part) {
  why.clear();
  try {
    return record_of(line, part, why);
  } catch (const LineSkip& skip) {
    why = skip.reason;
    return std::nullopt;
  }
}

std::vector<TuningLine> parse_tuning_records(std::string_view text, std::string_view source,
                                             RecordPart part) {
  std::vector<TuningLine> lines;
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    TuningLine& read = lines.emplace_back();
    read.place = fmt::format("{}:{}", source, number);
    read.record = parse_tuning_record(line, read.why, part);
  });
  return lines;
}

}  // namespace jit::inline v1
