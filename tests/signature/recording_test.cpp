#include "jit/recording.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl =
      parse_manifest(testing::kTinyManifest, "manifest.json", arena);
  return tmpl;
}

RecordedRequest recorded(std::vector<Constant> constants, const Sizes& sizes = {},
                         Debug debug = Debug::kNone) {
  const BucketSteps steps = steps_of(tiny(), sizes);
  return make_recorded_request(resolve(tiny(), constants, steps), constants, steps, debug);
}

Recording parse(std::string_view text) { return Recording::parse(text, "r.jsonl"); }

std::string refusal_of(std::string_view line) {
  const Recording recording = parse(line);
  REQUIRE(recording.size() == 1);
  try {
    resolve(tiny(), recording.requests().begin()->first);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

constexpr std::string_view kGolden =
    R"({"template":"tiny","constants":{"ELEMENT_TYPE_OF_INPUT":"f32","FLAG":false,"ORDER":"row_major","SIZE":8},"buckets":{"phase":"decode"},"debug":"none"}
{"template":"tiny","constants":{"ELEMENT_TYPE_OF_INPUT":"i32","FLAG":true,"ORDER":"row_major","SIZE":128},"buckets":{"phase":"prefill"},"debug":"none"}
{"template":"tiny","constants":{"ELEMENT_TYPE_OF_INPUT":"i32","FLAG":true,"ORDER":"row_major","SIZE":128,"THREADS":64},"buckets":{"phase":"decode"},"debug":"lineinfo"}
)";

TEST_CASE("a recording's text is what it was at its first release") {
  Recording recording;
  const std::vector<Constant> flagged{
      {"FLAG", true}, {"ELEMENT_TYPE_OF_INPUT", i32}, {"SIZE", 128}};
  std::vector<Constant> pinned = flagged;
  pinned.push_back({"THREADS", 64});
  recording.add(recorded(pinned, {}, Debug::kLineInfo));
  recording.add(recorded(flagged, {{"num_tokens", 4000}}));
  recording.add(recorded(flagged, {{"num_tokens", 4001}, {"batch", 7}}));
  recording.add(recorded({{"SIZE", 8}}));
  CHECK(recording.text() == kGolden);
  CHECK(parse(kGolden).text() == kGolden);
  CHECK(parse(kGolden).skipped().empty());
}

TEST_CASE("a recording is the same whatever the order its lines came in") {
  std::vector<std::string> lines;
  for (int size = 8; size <= 400; size += 8) {
    lines.push_back(recorded({{"SIZE", size}}).text());
    lines.push_back(recorded({{"SIZE", size}}, {{"num_tokens", 100}}).text());
    lines.push_back(lines.back());
  }
  std::mt19937 random(7);
  std::set<std::string> texts;
  for (int i = 0; i < 20; ++i) {
    std::shuffle(lines.begin(), lines.end(), random);
    std::array<Recording, 3> parts;
    for (const std::string& line : lines) parts[random() % 3].merge(parse(line + "\n"));
    parts[0].merge(parts[2]);
    parts[0].merge(parts[1]);
    CHECK(parts[0].size() == 100);
    texts.insert(parts[0].text());
  }
  CHECK(texts.size() == 1);
}

TEST_CASE("a replay asks for the very signature that was recorded") {
  std::mt19937 random(11);
  const auto any = [&](std::initializer_list<int> values) {
    return values.begin()[random() % values.size()];
  };
  for (int i = 0; i < 2'000; ++i) {
    std::vector<Constant> constants{{"SIZE", any({8, 1024, 2048, 4096})}};
    if (random() % 2 == 0)
      constants.push_back({"ELEMENT_TYPE_OF_INPUT", any({0, 1}) ? "u8" : "i32"});
    if (random() % 2 == 0) constants.push_back({"FLAG", random() % 2 == 0});
    if (random() % 2 == 0) constants.push_back({"ORDER", "column_major"});
    if (random() % 3 == 0) constants.push_back({"THREADS", any({32, 64, 128})});
    if (random() % 3 == 0) constants.push_back({"STAGES", any({1, 2, 3})});
    Sizes sizes;
    if (random() % 4 != 0) sizes.add({"num_tokens", any({0, 64, 65, 1024, 1025, 100'000})});
    const Recording read = parse(recorded(constants, sizes).text());
    REQUIRE(read.size() == 1);
    const Signature replayed = resolve(tiny(), read.requests().begin()->first);
    REQUIRE(replayed.text() == resolve(tiny(), constants, sizes).text());
  }
}

TEST_CASE("a replay follows a newer selection table, except where the caller pinned") {
  TableArena arena;
  const table::Template newer =
      parse_manifest(testing::with(testing::kTinyManifest, R"("set": {"THREADS": 128}})",
                                   R"("set": {"THREADS": 32}})"),
                     "manifest.json", arena);
  const Sizes mixed{{"num_tokens", 100}};
  const auto free = resolve(newer, recorded({{"SIZE", 8}}, mixed));
  const auto pinned = resolve(newer, recorded({{"SIZE", 8}, {"THREADS", 128}}, mixed));
  CHECK(free.constants_text().find("THREADS=32") != std::string::npos);
  CHECK(pinned.constants_text().find("THREADS=128") != std::string::npos);
}

TEST_CASE("a line that is no request is skipped, with its number; the others count") {
  const std::string good = recorded({{"SIZE", 8}}).text();
  const std::string long_line = R"({"template":")" + std::string(Recording::kMaxLineBytes, 'x');
  const std::string text = "\n" + good + "\r\n" + good.substr(0, 40) + "\n[1,2]\n{\"a\":1}\n" +
                           R"({"template":7})"
                           "\n"
                           R"({"template":"t","constants":[]})"
                           "\n"
                           R"({"template":"t","constants":{"A":1.5}})"
                           "\n"
                           R"({"template":"t","constants":{"A":9223372036854775808}})"
                           "\n"
                           R"({"template":"t","buckets":{"B":1}})"
                           "\n"
                           R"({"template":"t","debug":"all"})"
                           "\n" +
                           long_line + "\n\xff\xfe\n" + recorded({{"SIZE", 16}}).text();
  const Recording recording = parse(text);
  CHECK(recording.size() == 2);
  std::string skipped;
  for (const SkippedLine& line : recording.skipped()) {
    skipped += line.place + " " + line.reason + "\n";
  }
  CHECK(skipped ==
        "r.jsonl:3 it is torn, or no JSON\n"
        "r.jsonl:4 it names no template\n"
        "r.jsonl:5 it names no template\n"
        "r.jsonl:6 template is no text\n"
        "r.jsonl:7 constants is no object\n"
        "r.jsonl:8 constant A is no integer, bool or text\n"
        "r.jsonl:9 constant A is no integer, bool or text\n"
        "r.jsonl:10 bucket B is no text\n"
        "r.jsonl:11 debug is \"all\", not none, lineinfo or full\n"
        "r.jsonl:12 it is longer than any request\n"
        "r.jsonl:13 it is torn, or no JSON\n");
  CHECK(recording.requests().begin()->second == "r.jsonl:2");
  CHECK(recording.requests().rbegin()->second == "r.jsonl:14");
}

TEST_CASE("members that a newer version adds are passed over, and missing ones are defaults") {
  const Recording recording =
      parse(R"({"seen":17,"constants":{"SIZE":8},"template":"tiny","host":{"a":[]}})");
  REQUIRE(recording.size() == 1);
  const RecordedRequest& request = recording.requests().begin()->first;
  CHECK(resolve(tiny(), request).text() == resolve(tiny(), {{{"SIZE", 8}}}).text());
  CHECK(request.debug == Debug::kNone);
}

TEST_CASE("what today's template does not know is refused by name") {
  CHECK(refusal_of(R"({"template":"tiny","constants":{"SIZE":8,"HEADS":3}})") ==
        "get tiny: no constant HEADS; it declares SIZE, ELEMENT_TYPE_OF_INPUT, FLAG, ORDER, "
        "THREADS, STAGES");
  CHECK(refusal_of(R"({"template":"tiny","constants":{"SIZE":9}})") ==
        "get tiny: SIZE=9 is out of its domain; expected 8..4096 step 8");
  CHECK(refusal_of(R"({"template":"tiny","constants":{"SIZE":true}})") ==
        "get tiny: SIZE=true is a bool; expected an int: 8..4096 step 8");
  CHECK(refusal_of(R"({"template":"tiny","constants":{"SIZE":8},"buckets":{"stage":"x"}})") ==
        "get tiny: no bucket stage; it declares phase");
  CHECK(refusal_of(R"({"template":"tiny","constants":{"SIZE":8},"buckets":{"phase":"x"}})") ==
        "get tiny: bucket phase has no step x; it has decode, mixed, prefill");
}

TEST_CASE("a recording that cannot be read is an error with its name and the reason") {
  const testing::TemporaryDirectory directory;
  const auto reason_of = [](const std::filesystem::path& file) -> std::string {
    try {
      Recording::read(file);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
      return error.what();
    }
    return {};
  };
  CHECK(reason_of(directory / "none").find("no such file") != std::string::npos);
  CHECK(reason_of(directory / "").find("is a directory") != std::string::npos);
  CHECK(reason_of("/dev/null").find("no regular file") != std::string::npos);
  directory.write("large", "");
  std::filesystem::resize_file(directory / "large", Recording::kMaxBytes + 1);
  CHECK(reason_of(directory / "large").find("longer than 64 MiB") != std::string::npos);
  directory.write("fine", kGolden);
  CHECK(Recording::read(directory / "fine").text() == kGolden);
  directory.write("empty", "");
  CHECK(Recording::read(directory / "empty").empty());
}

}  // namespace
}  // namespace jit
