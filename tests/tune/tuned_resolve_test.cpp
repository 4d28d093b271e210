#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <vector>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"
#include "tune/tuning_table.hpp"

namespace jit {
namespace {

using testing::kH100Pcie;
using testing::kH200;
using testing::tiny_record;

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl =
      parse_manifest(testing::kTinyManifest, "manifest.json", arena);
  return tmpl;
}

const TuningTarget kOnH200{{9, 0, 0}, CompilerRelease{13, 0}, kH200};
const TuningTarget kNoDevice{{9, 0, 0}, CompilerRelease{13, 0}, std::nullopt};

std::string tunables_of(const Signature& signature) {
  return "THREADS=" + format_value(signature.values[4]) +
         " STAGES=" + format_value(signature.values[5]);
}

std::string tunables_of(const std::vector<Signature>& signatures) {
  std::string text;
  for (const Signature& signature : signatures) text += tunables_of(signature) + "; ";
  return text;
}

// On the H200 with 13.0: decode 128/2, prefill 32/3; on another board: decode 32/1.
TuningTable two_boards() {
  TuningTable table;
  table.add(tiny(), tiny_record(tiny(), 8, 128, 2), "t:1");
  TuningRecord prefill = tiny_record(tiny(), 8, 32, 3);
  prefill.buckets[0].step = "prefill";
  table.add(tiny(), prefill, "t:2");
  TuningRecord other = tiny_record(tiny(), 8, 32, 1);
  other.device = kH100Pcie;
  table.add(tiny(), other, "t:3");
  return table;
}

Signature resolved(const TuningTable& table, std::vector<Constant> constants, int tokens,
                   const TuningTarget& target = kOnH200) {
  return resolve(tiny(), constants, steps_of(tiny(), Sizes{{"num_tokens", tokens}}), table, target);
}

TEST_CASE("pinned counts before the record, that before the selection table and the default") {
  const TuningTable table = two_boards();
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}}, 1)) == "THREADS=128 STAGES=2");
  // A record is used whole or not at all: what contradicts a pin is passed over, for a hint that
  // does not or for what is untuned.
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}, {"THREADS", 64}}, 1)) == "THREADS=64 STAGES=1");
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}, {"STAGES", 2}}, 1)) == "THREADS=128 STAGES=2");
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}, {"STAGES", 1}}, 1)) == "THREADS=32 STAGES=1");
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}}, 2000)) == "THREADS=32 STAGES=3");
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}}, 100)) == "THREADS=128 STAGES=1");  // selection
  CHECK(tunables_of(resolved(table, {{"SIZE", 16}}, 1)) == "THREADS=64 STAGES=1");    // default
  const TuningTarget hopper{{9, 0, 0}, CompilerRelease{13, 0}, kH100Pcie};
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}}, 1, hopper)) == "THREADS=32 STAGES=1");
  CHECK(tunables_of(resolved(table, {{"SIZE", 8}}, 2000, hopper)) == "THREADS=32 STAGES=3");
}

TEST_CASE("a record that names some tunables leaves the others to the selection table") {
  TuningRecord record = tiny_record(tiny(), 2048, 32, 1);
  record.buckets[0].step = "prefill";
  record.set = {{"THREADS", 32L}};
  TuningTable table;
  table.add(tiny(), record, "t:1");
  CHECK(tunables_of(resolved(table, {{"SIZE", 2048}}, 2000)) == "THREADS=32 STAGES=3");
}

TEST_CASE("what is wrong with a request is said as without records") {
  const TuningTable table = two_boards();
  CHECK_THROWS_AS(resolved(table, {{"SIZE", 9}}, 1), Error);
  CHECK_THROWS_AS(resolved(table, {}, 1), Error);
}

TEST_CASE("the enumerated signatures are those that requests of any size ask for") {
  const TuningTable table = two_boards();
  const std::array constants{Constant{"SIZE", 8}};
  const auto all = resolve_all_buckets(tiny(), constants, table, kOnH200);
  CHECK(tunables_of(all) == "THREADS=128 STAGES=2; THREADS=128 STAGES=1; THREADS=32 STAGES=3; ");
  std::set<std::string> enumerated;
  for (const Signature& signature : all) enumerated.insert(signature.text());
  std::set<std::string> asked;
  for (int tokens = 0; tokens < 5000; tokens += 7) {
    asked.insert(resolved(table, {{"SIZE", 8}}, tokens).text());
  }
  CHECK(asked == enumerated);
}

TEST_CASE("where no device is spoken of, everything that some device asks for is enumerated") {
  const TuningTable table = two_boards();
  const std::array constants{Constant{"SIZE", 8}};
  const auto all = resolve_all_buckets(tiny(), constants, table, kNoDevice);
  std::set<std::string> enumerated;
  for (const Signature& signature : all) enumerated.insert(signature.text());
  CHECK(enumerated.size() == all.size());
  std::set<std::string> asked;
  for (const DeviceModel& device :
       {kH200, kH100Pcie, DeviceModel{"NVIDIA GH200", 132, 96}, DeviceModel{"small", 16, 24}}) {
    for (const int tokens : {1, 100, 2000}) {
      for (const auto& release :
           {std::optional(CompilerRelease{13, 0}), std::optional<CompilerRelease>()}) {
        asked.insert(resolved(table, {{"SIZE", 8}}, tokens, {{9, 0, 0}, release, device}).text());
      }
    }
  }
  CHECK(asked == enumerated);
  // Without a record there is nothing to enumerate but what is untuned.
  const std::array other{Constant{"SIZE", 16}};
  CHECK(tunables_of(resolve_all_buckets(tiny(), other, table, kNoDevice)) ==
        tunables_of(resolve_all_buckets(tiny(), other)));
}

TEST_CASE("a process without a compiler finds what a farm with an older one compiled") {
  TuningTable table;
  table.add(tiny(), tiny_record(tiny(), 8, 128, 2), "t:1");
  TuningRecord older = tiny_record(tiny(), 8, 32, 1);
  older.toolchain = "12.9";
  table.add(tiny(), older, "t:2");
  const std::array constants{Constant{"SIZE", 8}};
  const auto farm =
      resolve_all_buckets(tiny(), constants, table, {{9, 0, 0}, CompilerRelease{12, 9}, kH200});
  const Signature frozen = resolved(table, {{"SIZE", 8}}, 1, {{9, 0, 0}, std::nullopt, kH200});
  CHECK(tunables_of(frozen) == "THREADS=128 STAGES=2");
  CHECK(std::find(farm.begin(), farm.end(), frozen) != farm.end());
  CHECK(tunables_of(farm).starts_with("THREADS=32 STAGES=1; "));
}

TEST_CASE("all tunables pinned are one signature, whatever was recorded") {
  const std::array constants{Constant{"SIZE", 8}, Constant{"THREADS", 64}, Constant{"STAGES", 3}};
  CHECK(resolve_all_buckets(tiny(), constants, two_boards(), kNoDevice).size() == 1);
}

}  // namespace
}  // namespace jit
