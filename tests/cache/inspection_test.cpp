#include "cache/inspection.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "cache/cache_fixture.hpp"
#include "cache/layout.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

struct Shelf {
  Shelf() {
    for (std::uint32_t number = 0; number < 20; ++number) {
      entries.push_back(make_entry(number, 100 + number));
      REQUIRE(directory.publish(entries.back()).ok);
    }
  }
  fs::path path(std::size_t index) const { return path_of(folder.path(), entries[index]); }

  Folder folder;
  Directory directory{{.root = folder.path()}, Logger::silent()};
  std::vector<Entry> entries;
};

}  // namespace

TEST_CASE("a list shows every entry, in order, with what it says of itself") {
  const Shelf shelf;
  const std::vector<EntryInfo> list = list_entries(shelf.directory);
  REQUIRE(list.size() == 20);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) CHECK(list[i - 1].path < list[i].path);
    CHECK(fs::file_size(list[i].path) == list[i].size_bytes);
    REQUIRE(list[i].summary);
    const EntrySummary& summary = *list[i].summary;
    const Entry& entry = shelf.entries[summary.entry.epoch];
    CHECK(summary.entry.signature == entry.signature);
    CHECK(summary.cubin_bytes == entry.artifact.cubin.size());
    CHECK(list[i].path.filename().string().starts_with(list[i].key_hex));
    const auto age = std::chrono::system_clock::now() - list[i].last_use;
    CHECK(age < std::chrono::minutes(10));
    CHECK(age > -std::chrono::minutes(10));
  }
}

TEST_CASE("a visit of the entries ends when it is told to") {
  const Shelf shelf;
  const std::vector<EntryInfo> list = list_entries(shelf.directory);
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, list.size(), list.size() + 1}) {
    std::vector<fs::path> seen;
    const bool all = visit_entries(shelf.directory, {}, [&](EntryInfo&& info) {
      seen.push_back(info.path);
      return seen.size() < most;
    });
    CHECK(all == (most > list.size()));
    REQUIRE(seen.size() == std::min(most, list.size()));
    for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == list[i].path);
  }
}

TEST_CASE("a key prefix selects, with any number of digits") {
  const Shelf shelf;
  const std::string key = list_entries(shelf.directory).front().key_hex;
  for (const std::size_t digits :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{9}, std::size_t{64}}) {
    const auto list = list_entries(shelf.directory, key.substr(0, digits));
    REQUIRE_FALSE(list.empty());
    CHECK(list.front().key_hex == key);
    for (const EntryInfo& info : list) CHECK(info.key_hex.starts_with(key.substr(0, digits)));
  }
  CHECK(list_entries(shelf.directory, key).size() == 1);
  CHECK(list_entries(shelf.directory, key + "0").empty());
  CHECK(list_entries(shelf.directory, "zz").empty());
  CHECK(list_entries(shelf.directory, "../").empty());
}

TEST_CASE("strangers in the directory are not listed, and damaged entries are, without a summary") {
  const Shelf shelf;
  spill(shelf.folder / kFormatDirectory / "README", {});
  spill(shelf.path(0).parent_path() / "stranger.cubinet", {});
  spill(shelf.path(0), {});
  fs::remove(shelf.path(1));
  REQUIRE(::mkfifo(shelf.path(1).c_str(), 0600) == 0);
  std::size_t without = 0;
  const std::vector<EntryInfo> list = list_entries(shelf.directory);
  CHECK(list.size() == 20);
  for (const EntryInfo& info : list) {
    if (!info.summary) ++without;
  }
  CHECK(without == 2);
}

TEST_CASE("verifying finds what is damaged and changes nothing") {
  const Shelf shelf;
  std::vector<std::byte> bytes = slurp(shelf.path(3));
  bytes.back() ^= std::byte{1};
  spill(shelf.path(3), bytes);
  spill(shelf.path(4), slurp(shelf.path(5)));
  for (int round = 0; round < 2; ++round) {
    std::size_t good = 0;
    for (const EntryCheck& check : verify_entries(shelf.directory)) {
      if (check.ok()) ++good;
      if (check.info.path == shelf.path(3)) CHECK(check.damage == Damage::kBadChecksum);
      if (check.info.path == shelf.path(4)) CHECK(check.damage == Damage::kWrongKey);
    }
    CHECK(good == 18);
  }
}

TEST_CASE("removing takes what the prefix selects, and sizes follow") {
  const Shelf shelf;
  const DirectorySize before = size_of(shelf.directory);
  CHECK(before.entries == 20);
  CHECK(before.quarantined == 0);
  CHECK(before.temporary == 0);
  const EntryInfo first = list_entries(shelf.directory).front();
  const RemoveResult one = remove_entries(shelf.directory, first.key_hex);
  CHECK(one.removed == 1);
  CHECK(one.removed_bytes == first.size_bytes);
  CHECK(one.failed == 0);
  const DirectorySize after = size_of(shelf.directory);
  CHECK(after.entries == 19);
  CHECK(after.entry_bytes == before.entry_bytes - first.size_bytes);
  const Directory reader({.root = shelf.folder.path(), .read_only = true});
  CHECK(remove_entries(reader, "").error == EROFS);
  CHECK(remove_entries(shelf.directory, "").removed == 19);
  CHECK(size_of(shelf.directory).entries == 0);
}

TEST_CASE("a directory that is absent or refused is empty") {
  const Folder folder;
  const Directory absent({.root = folder / "absent"});
  CHECK(list_entries(absent).empty());
  CHECK(verify_entries(absent).empty());
  CHECK(remove_entries(absent, "").removed == 0);
  CHECK_FALSE(fs::exists(folder / "absent"));
}
