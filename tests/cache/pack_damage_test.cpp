// What is not a whole, trusted pack is a named miss and never wrong bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "cache/pack_fixture.hpp"
#include "cache/pack_format.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

// How many of the entries are served. Fails the test if one is served with wrong bytes.
std::size_t sound_hits(const fs::path& path, const std::vector<Entry>& entries) {
  const Pack pack({path}, Logger::silent());
  std::size_t hits = 0;
  for (const Entry& entry : entries) {
    const auto found = pack.find(query_of(entry));
    if (!found) continue;
    if (!same(*found, entry)) FAIL("wrong bytes were served");
    ++hits;
  }
  for (const PackedEntry& packed : pack.list()) {
    static_cast<void>(pack.summary_of(packed));
    static_cast<void>(pack.read(packed));
    static_cast<void>(pack.list_signature(packed.signature));
  }
  return hits;
}

MissReason reason_of(const fs::path& path, const Entry& entry, bool trust_group = false) {
  const Pack pack({path, trust_group}, Logger::silent());
  Miss miss;
  static_cast<void>(pack.find(query_of(entry), &miss));
  return miss.reason;
}

}  // namespace

TEST_CASE("a flipped byte anywhere never serves wrong bytes, and verify finds it") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  std::size_t unseen = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{0x41};
    spill(path, damaged);
    const std::size_t hits = sound_hits(path, entries);
    if (hits + 1 < entries.size() && at >= kPackHeaderBytes + 3 * kPackRecordBytes) {
      FAIL("one damaged entry took another along, at " << at);
    }
    if (Pack({path}, Logger::silent()).verify().empty()) ++unseen;
  }
  CHECK(unseen == 0);
}

TEST_CASE("a flipped byte in the index is a miss by the name of damaged, for every entry") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  for (std::size_t i = 0; i < 3 * kPackRecordBytes; ++i) {
    auto damaged = bytes;
    damaged[kPackHeaderBytes + i] ^= std::byte{0x41};
    spill(path, damaged);
    for (const Entry& entry : entries) {
      if (reason_of(path, entry) != MissReason::kDamaged) FAIL("not named at byte " << i);
    }
  }
}

TEST_CASE("a pack cut at any length is a named miss") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  auto bytes = slurp(path);
  while (!bytes.empty()) {
    bytes.pop_back();
    spill(path, bytes);
    if (sound_hits(path, entries) != 0) FAIL("served from " << bytes.size() << " bytes");
  }
  CHECK(reason_of(path, entries[0]) == MissReason::kDamaged);
}

TEST_CASE("an index that lies, with all its checksums right, crashes nothing") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  const std::span<const std::byte> all(bytes);
  const char* why = "";
  auto header = decode_header(all.first<kPackHeaderBytes>(), bytes.size(), &why);
  REQUIRE(header);
  constexpr std::uint32_t kMost = ~std::uint32_t{0};
  using Lie = void (*)(PackRecord&);
  const Lie lies[] = {[](PackRecord& r) { r.offset = ~std::uint64_t{0}; },
                      [](PackRecord& r) { r.offset = 0; },
                      [](PackRecord& r) { r.bytes = kMost; },
                      [](PackRecord& r) { r.bytes = 0; },
                      [](PackRecord& r) {
                        r.signature = {kMost, kMost};
                      },
                      [](PackRecord& r) {
                        r.name = {0, kMost};
                      },
                      [](PackRecord& r) { r.toolchain.release.minor ^= 1; },
                      [](PackRecord& r) { r.registers += 1; }};
  for (const Lie lie : lies) {
    auto changed = bytes;
    PackRecord record = decode_record(all.subspan<kPackHeaderBytes, kPackRecordBytes>());
    lie(record);
    const auto encoded = encode(record);
    std::copy(encoded.begin(), encoded.end(), changed.begin() + kPackHeaderBytes);
    header->records_checksum = xxh3_128(
        std::span<const std::byte>(changed).subspan(kPackHeaderBytes, 2 * kPackRecordBytes));
    const auto head = encode(*header);
    std::copy(head.begin(), head.end(), changed.begin());
    spill(path, changed);
    CHECK(sound_hits(path, entries) >= 1);
    CHECK_FALSE(Pack({path}, Logger::silent()).verify().empty());
  }
}

TEST_CASE("a header that lies, with its checksum right, is a named miss") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  const char* why = "";
  const auto truth = decode_header(std::span<const std::byte>(bytes).first<kPackHeaderBytes>(),
                                   bytes.size(), &why);
  REQUIRE(truth);
  using Lie = void (*)(PackHeader&);
  const Lie lies[] = {[](PackHeader& h) { h.entries = ~std::uint32_t{0}; },
                      [](PackHeader& h) { h.entries = kMaxPackEntries; },
                      [](PackHeader& h) { h.entries = 0; },
                      [](PackHeader& h) { h.entries += 1; },
                      [](PackHeader& h) { h.entries -= 1; },
                      [](PackHeader& h) { h.names_bytes = ~std::uint64_t{0}; },
                      [](PackHeader& h) { h.names_bytes = 0; },
                      [](PackHeader& h) { h.names_bytes = kMaxPackNamesBytes; },
                      [](PackHeader& h) { h.first_entry = ~std::uint64_t{63}; },
                      [](PackHeader& h) { h.first_entry = 0; },
                      [](PackHeader& h) { h.file_bytes = ~std::uint64_t{0}; },
                      [](PackHeader& h) { h.file_bytes = 0; }};
  for (const Lie lie : lies) {
    PackHeader header = *truth;
    lie(header);
    auto changed = bytes;
    const auto head = encode(header);
    std::copy(head.begin(), head.end(), changed.begin());
    spill(path, changed);
    CHECK(reason_of(path, entries[0]) == MissReason::kDamaged);
    CHECK(sound_hits(path, entries) == 0);
  }
}

namespace {

// Writes `bytes` with these records, everything else as it is and every checksum right.
void spill_with(const fs::path& path, std::vector<std::byte> bytes,
                const std::vector<PackRecord>& records, std::uint64_t file_bytes) {
  const char* why = "";
  auto header = decode_header(std::span<const std::byte>(bytes).first<kPackHeaderBytes>(),
                              bytes.size(), &why);
  REQUIRE(header);
  auto at = bytes.begin() + kPackHeaderBytes;
  for (const PackRecord& record : records) {
    const auto encoded = encode(record);
    at = std::copy(encoded.begin(), encoded.end(), at);
  }
  header->file_bytes = file_bytes;
  header->records_checksum = xxh3_128(std::span<const std::byte>(bytes).subspan(
      kPackHeaderBytes, records.size() * kPackRecordBytes));
  const auto head = encode(*header);
  std::copy(head.begin(), head.end(), bytes.begin());
  spill(path, bytes);
}

std::vector<PackRecord> records_in(const std::vector<std::byte>& bytes, std::size_t count) {
  std::vector<PackRecord> records;
  const std::span<const std::byte> all(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back(decode_record(
        all.subspan(kPackHeaderBytes + i * kPackRecordBytes).first<kPackRecordBytes>()));
  }
  return records;
}

}  // namespace

TEST_CASE("an index that gives a key another's entry is a miss by the name of wrong_key") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  auto records = records_in(bytes, 2);
  SECTION("both") { std::swap(records[0].offset, records[1].offset); }
  SECTION("one lies over the other") { records[0].offset = records[1].offset; }
  records[0].bytes = records[1].bytes;
  spill_with(path, bytes, records, bytes.size());
  const Pack pack({path}, Logger::silent());
  const auto& first = entries[0].key == records[0].key ? entries[0] : entries[1];
  Miss miss;
  CHECK_FALSE(pack.find(query_of(first), &miss));
  CHECK(miss.reason == MissReason::kDamaged);
  CHECK(miss.damage == Damage::kWrongKey);
  CHECK_FALSE(pack.verify().empty());
}

TEST_CASE("an index out of order misses, and verify says so") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(5, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  auto records = records_in(bytes, 5);
  std::reverse(records.begin(), records.end());
  spill_with(path, bytes, records, bytes.size());
  static_cast<void>(sound_hits(path, entries));
  CHECK_FALSE(Pack({path}, Logger::silent()).verify().empty());
}

TEST_CASE("an entry beyond 4 GiB is found") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2, 40);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const auto bytes = slurp(path);
  auto records = records_in(bytes, 2);
  constexpr std::uint64_t kFar = std::uint64_t{5} << 30;
  const std::uint64_t near = records[1].offset;
  records[1].offset = kFar;
  spill_with(path, bytes, records, kFar + records[1].bytes);
  {
    std::ofstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(kFar));
    file.write(reinterpret_cast<const char*>(bytes.data() + near), records[1].bytes);
  }
  CHECK(sound_hits(path, entries) == 2);
  const auto faults = Pack({path}, Logger::silent()).verify();
  REQUIRE_FALSE(faults.empty());
  CHECK(faults.front().what == "not where it should be");
}

TEST_CASE("a damaged entry is warned about once, with the pack's name, and others are served") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3, 400);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  auto bytes = slurp(path);
  for (const PackedEntry& packed : Pack({path}, Logger::silent()).list()) {
    if (packed.key != entries[2].key) bytes[packed.offset + packed.bytes - 40] ^= std::byte{1};
  }
  spill(path, bytes);
  Lines lines;
  const Pack pack({path}, lines.logger());
  Miss miss;
  CHECK_FALSE(pack.find(query_of(entries[0]), &miss));
  CHECK(miss.reason == MissReason::kDamaged);
  CHECK(miss.damage == Damage::kBadChecksum);
  CHECK_FALSE(pack.find(query_of(entries[1])));
  CHECK(pack.find(query_of(entries[2])));
  const auto warnings = lines.take();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find(path.native()) != std::string::npos);
  CHECK(pack.verify().size() == 2);
}

TEST_CASE("a pack that is not there, no pack, or open to others is named and not used") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(1);
  const fs::path path = folder / "a.cupack";
  CHECK(reason_of(path, entries[0]) == MissReason::kUnreadable);
  CHECK(reason_of(folder.path(), entries[0]) == MissReason::kRefused);
  REQUIRE(write_entries(path, entries).empty());
  fs::permissions(path, fs::perms(0666));
  CHECK(reason_of(path, entries[0], true) == MissReason::kRefused);
  fs::permissions(path, fs::perms(0660));
  CHECK(reason_of(path, entries[0]) == MissReason::kRefused);
  CHECK(reason_of(path, entries[0], true) == MissReason::kNone);
  std::ofstream(folder / "text.cupack") << std::string(1000, 'x');
  fs::permissions(folder / "text.cupack", fs::perms(0600));
  CHECK(reason_of(folder / "text.cupack", entries[0]) == MissReason::kDamaged);
  REQUIRE(::mkfifo((folder / "fifo.cupack").c_str(), 0600) == 0);
  CHECK(reason_of(folder / "fifo.cupack", entries[0]) == MissReason::kRefused);
  CHECK(reason_of("/dev/null", entries[0]) == MissReason::kRefused);
  CHECK(reason_of("/proc/self/status", entries[0]) == MissReason::kDamaged);
  const Pack mended({path}, Logger::silent());
  CHECK_FALSE(mended.find(query_of(entries[0])));
  fs::permissions(path, fs::perms(0640));
  CHECK(mended.find(query_of(entries[0])));
  Lines lines;
  const Pack pack({folder / "none.cupack"}, lines.logger());
  CHECK_FALSE(pack.find(query_of(entries[0])));
  CHECK_FALSE(pack.find(query_of(entries[0])));
  CHECK(lines.take().size() == 1);
  REQUIRE(write_entries(folder / "none.cupack", entries).empty());
  CHECK(pack.find(query_of(entries[0])));  // it came later
}

TEST_CASE("a pack that is replaced, removed, cut or overwritten while it is open is no danger") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  const Pack pack({path}, Logger::silent());
  REQUIRE(pack.find(query_of(entries[0])));
  REQUIRE(write_entries(path, {make_entry(9)}).empty());
  CHECK(pack.find(query_of(entries[1])));  // the file that was opened
  fs::remove(path);
  CHECK(pack.find(query_of(entries[2])));

  REQUIRE(write_entries(path, entries).empty());
  const Pack cut({path}, Logger::silent());
  REQUIRE(cut.find(query_of(entries[0])));
  const auto bytes = slurp(path);
  REQUIRE(::truncate(path.c_str(), 500) == 0);
  Miss miss;
  CHECK_FALSE(cut.find(query_of(entries[1]), &miss));
  CHECK(miss.reason == MissReason::kDamaged);
  {
    std::ofstream file(path, std::ios::binary);  // the same inode
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  CHECK(cut.find(query_of(entries[1])));
}

TEST_CASE("a descriptor that a stranger closed or took is opened once more, and left to him") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(2);
  const fs::path path = folder / "a.cupack";
  REQUIRE(write_entries(path, entries).empty());
  std::ofstream(folder / "other") << std::string(10'000, 'x');
  CHECK(succeeded(start([&] {
    int taken = -1;
    {
      const int next = ::dup(0);
      ::close(next);
      const Pack pack({path}, Logger::silent());
      if (!pack.find(query_of(entries[0]))) return false;
      ::close(next);  // what daemons do at their start
      taken = ::open((folder / "other").c_str(), O_RDONLY);
      if (taken != next || !pack.find(query_of(entries[1]))) return false;
    }
    return ::fcntl(taken, F_GETFD) >= 0;
  })));
}
