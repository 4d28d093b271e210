// Tuning records in packs: whole or named, and in nobody's way.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/file.hpp"
#include "cache/pack_fixture.hpp"
#include "cache/pack_format.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTuning = "{\"template\":\"t\"}\n{\"template\":\"u\"}\n";

std::size_t hits(const Pack& pack, const std::vector<Entry>& entries) {
  std::size_t count = 0;
  for (const Entry& entry : entries) {
    const auto found = pack.find(query_of(entry));
    if (!found) continue;
    if (!same(*found, entry)) FAIL("wrong bytes were served");
    ++count;
  }
  return count;
}

PackHeader header_of(const std::vector<std::byte>& bytes) {
  const char* why = "";
  const auto header = decode_header(std::span<const std::byte>(bytes).first<kPackHeaderBytes>(),
                                    bytes.size(), &why);
  INFO(why);
  REQUIRE(header);
  return *header;
}

}  // namespace

TEST_CASE("a pack gives back the tuning records that it was made with") {
  const Folder folder;
  for (const std::uint32_t count : {0U, 1U, 3U}) {
    const std::vector<Entry> entries = make_entries(count, 40);
    REQUIRE(write_entries(folder / "with.cupack", entries, kTuning).empty());
    REQUIRE(write_entries(folder / "twice.cupack", entries, kTuning).empty());
    CHECK(slurp(folder / "with.cupack") == slurp(folder / "twice.cupack"));
    const Pack pack({folder / "with.cupack"}, Logger::silent());
    CHECK(pack.tuning() == kTuning);
    CHECK(pack.verify().empty());
    CHECK(hits(pack, entries) == count);
    CHECK(pack.list().size() == count);
    CHECK(pack.state().bytes == fs::file_size(folder / "with.cupack"));
  }
  REQUIRE(write_entries(folder / "none.cupack", make_entries(1)).empty());
  const Pack none({folder / "none.cupack"}, Logger::silent());
  CHECK(none.tuning() == "");
  const Pack absent({folder / "absent.cupack"}, Logger::silent());
  CHECK(absent.tuning() == "");
}

TEST_CASE("tuning records change nothing of a pack but its header and what is behind the entries") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3, 40);
  REQUIRE(write_entries(folder / "without.cupack", entries).empty());
  REQUIRE(write_entries(folder / "with.cupack", entries, kTuning).empty());
  const auto without = slurp(folder / "without.cupack");
  const auto with = slurp(folder / "with.cupack");
  REQUIRE(with.size() == padded(without.size()) + kTuning.size());
  CHECK(std::equal(without.begin() + kPackHeaderBytes, without.end(),
                   with.begin() + kPackHeaderBytes));
  CHECK(as_text(std::span(with).last(kTuning.size())) == kTuning);
  CHECK(header_of(without).tuning_bytes == 0);
}

TEST_CASE("a flipped byte in a pack with tuning records is found, and costs no entry but its own") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries, kTuning).empty());
  const auto bytes = slurp(path);
  const std::uint64_t tuning_at = header_of(bytes).tuning_offset();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{0x41};
    spill(path, damaged);
    const Pack pack({path}, Logger::silent());
    if (pack.verify().empty()) FAIL("not found at " << at);
    const auto text = pack.tuning();
    if (text && !text->empty() && *text != kTuning) FAIL("wrong records at " << at);
    if (at < tuning_at) continue;
    std::string why;
    if (pack.tuning(&why)) FAIL("damaged records are served, at " << at);
    CHECK(why == "read pack " + path.string() +
                     ": its tuning records are damaged and passed over; copy the pack again");
    if (hits(pack, entries) != 2) FAIL("damaged records took an entry along, at " << at);
  }
}

TEST_CASE("a pack with tuning records that is cut at any length is a named miss") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(1, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries, kTuning).empty());
  auto bytes = slurp(path);
  while (!bytes.empty()) {
    bytes.pop_back();
    spill(path, bytes);
    const Pack pack({path}, Logger::silent());
    if (hits(pack, entries) != 0) FAIL("served from " << bytes.size() << " bytes");
    if (pack.tuning() != "") FAIL("records of " << bytes.size() << " bytes");
  }
}

TEST_CASE("a header that lies about tuning records, with its checksum right, crashes nothing") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries, kTuning).empty());
  const auto bytes = slurp(path);
  for (const std::uint64_t lie :
       {std::uint64_t{1}, std::uint64_t{kTuning.size() + 1}, std::uint64_t{bytes.size()},
        std::uint64_t{bytes.size() + 1}, kMaxPackTuningBytes, kMaxPackTuningBytes + 1,
        ~std::uint64_t{0}, std::uint64_t{0}}) {
    auto changed = bytes;
    PackHeader header = header_of(bytes);
    header.tuning_bytes = lie;
    const auto head = encode(header);
    std::copy(head.begin(), head.end(), changed.begin());
    spill(path, changed);
    const Pack pack({path}, Logger::silent());
    static_cast<void>(hits(pack, entries));
    const auto text = pack.tuning();
    CHECK((!text || text->empty()));
    CHECK_FALSE(pack.verify().empty());
  }
}

TEST_CASE("damaged tuning records are warned about once") {
  const Folder folder;
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, make_entries(1, 40), kTuning).empty());
  auto bytes = slurp(path);
  bytes.back() ^= std::byte{1};
  spill(path, bytes);
  int lines = 0;
  const Pack pack({path}, Logger([&](LogLevel, std::string_view) { ++lines; }, LogLevel::kWarning));
  CHECK_FALSE(pack.tuning());
  CHECK_FALSE(pack.tuning());
  CHECK(lines == 1);
}

TEST_CASE("more tuning records than a pack takes are refused, and no pack is made") {
  const Folder folder;
  const std::string many(kMaxPackTuningBytes + 1, '\n');
  CHECK(write_entries(folder / "a.cupack", make_entries(1), many) ==
        "write pack " + (folder / "a.cupack").string() +
            ": its tuning records are too long; make several packs");
  CHECK_FALSE(fs::exists(folder / "a.cupack"));
}
