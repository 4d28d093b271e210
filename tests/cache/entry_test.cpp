#include "cache/entry.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <random>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "cache/cache_fixture.hpp"

using namespace jit;
using namespace jit::test;

namespace {

// Gives changed bytes a checksum that fits, so that what lies behind it is reached.
void seal(std::vector<std::byte>& bytes) {
  const auto body = std::span<const std::byte>(bytes).first(bytes.size() - kEntryChecksumBytes);
  const Xxh3Digest digest = xxh3_128(body);
  std::memcpy(bytes.data() + body.size(), digest.data(), digest.size());
}

void put32(std::vector<std::byte>& bytes, std::size_t offset, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::byte>(value >> (8 * i));
}

}  // namespace

TEST_CASE("an entry goes there and back with every field") {
  const Entry entry = make_entry(1);
  const std::vector<std::byte> bytes = encode(entry);
  const Decoded decoded = decode(bytes, &entry.key);
  REQUIRE(decoded.entry);
  CHECK(decoded.damage == Damage::kNone);
  CHECK(same(*decoded.entry, entry));
  CHECK(decode(bytes, nullptr).entry);
  CHECK(encode(*decoded.entry) == bytes);
}

TEST_CASE("the bytes of version 2 never change") {
  // A change here is a change of the format: raise kEntryFormatVersion instead.
  const auto digest = xxh3_128(encode(make_entry(1, 64)));
  CHECK(to_hex(digest) == "df0aeacccfb7e7207ddfbb81a9d92074");
}

TEST_CASE("an entry that exceeds a cap has no bytes") {
  CHECK(encode(make_entry(1, 0)).empty());
  CHECK(encode(make_entry(1, kMaxCubinBytes + 1)).empty());
  Entry entry = make_entry(1);
  entry.signature.assign(kMaxStringBytes + 1, 'x');
  CHECK(encode(entry).empty());
  entry = make_entry(1);
  entry.bundle_files.resize(kMaxBundleFiles + 1);
  CHECK(encode(entry).empty());
  entry = make_entry(1);
  entry.options.resize(kMaxOptions + 1);
  CHECK(encode(entry).empty());
  entry = make_entry(1);
  entry.options.assign(1, std::string(kMaxStringBytes + 1, 'o'));
  CHECK(encode(entry).empty());
  entry = make_entry(1);
  entry.bundle_files.assign(100, {std::string(kMaxStringBytes, 'p'), {}});
  CHECK(encode(entry).empty());
  entry.bundle_files.resize(10);
  const Decoded decoded = decode(encode(entry), &entry.key);
  REQUIRE(decoded.entry);
  CHECK(same(*decoded.entry, entry));
}

TEST_CASE("no flipped byte goes unnoticed") {
  const Entry entry = make_entry(2);
  const std::vector<std::byte> good = encode(entry);
  std::vector<std::byte> bytes = good;
  std::size_t cases = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      bytes[at] = static_cast<std::byte>(value);
      if (bytes[at] == good[at]) continue;
      ++cases;
      const Decoded decoded = decode(bytes, &entry.key);
      if (decoded.entry || decoded.damage == Damage::kNone) FAIL("byte " << at << " = " << value);
    }
    bytes[at] = good[at];
  }
  CHECK(cases == good.size() * 255);
}

TEST_CASE("no truncation and no extension goes unnoticed") {
  const Entry entry = make_entry(3, 5000);
  const std::vector<std::byte> good = encode(entry);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Decoded decoded = decode(std::span(good).first(size), &entry.key);
    CHECK_FALSE(decoded.entry);
    CHECK(decoded.damage == Damage::kTruncated);
  }
  for (std::size_t extra = 1; extra <= 64; ++extra) {
    std::vector<std::byte> longer = good;
    longer.resize(good.size() + extra);
    CHECK(decode(longer, &entry.key).damage == Damage::kBadLength);
  }
}

TEST_CASE("no zeroed and no exchanged block goes unnoticed") {
  const Entry entry = make_entry(4, 20'000);
  const std::vector<std::byte> good = encode(entry);
  constexpr std::size_t kBlock = 512;
  const std::size_t blocks = good.size() / kBlock;
  for (std::size_t block = 0; block < blocks; ++block) {
    std::vector<std::byte> bytes = good;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block * kBlock), kBlock, std::byte{});
    CHECK_FALSE(decode(bytes, &entry.key).entry);
    bytes = good;
    const std::size_t other = (block + 1) % blocks;
    std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(block * kBlock),
                     bytes.begin() + static_cast<std::ptrdiff_t>((block + 1) * kBlock),
                     bytes.begin() + static_cast<std::ptrdiff_t>(other * kBlock));
    CHECK_FALSE(decode(bytes, &entry.key).entry);
  }
}

TEST_CASE("each kind of damage has its name") {
  const Entry entry = make_entry(5);
  const UnitKey other = key_of(6);
  const std::vector<std::byte> good = encode(entry);
  const auto with32 = [&](std::size_t offset, std::uint32_t value) {
    std::vector<std::byte> bytes = good;
    put32(bytes, offset, value);
    seal(bytes);
    return decode(bytes, &entry.key).damage;
  };
  CHECK(decode({}, nullptr).damage == Damage::kTruncated);
  CHECK(decode(good, &other).damage == Damage::kWrongKey);
  CHECK(with32(0, 0) == Damage::kBadMagic);
  CHECK(with32(8, 3) == Damage::kFutureVersion);
  CHECK(with32(8, 1) == Damage::kOtherVersion);
  CHECK(with32(12, 241) == Damage::kBadLength);
  CHECK(with32(28, 0) == Damage::kBadLength);
  CHECK(with32(28, 0xffffffff) == Damage::kBadLength);
  CHECK(with32(24, 0xffffffff) == Damage::kBadLength);
  CHECK(with32(136, 0xffffffff) == Damage::kBadLength);
  CHECK(with32(156, 0xffffffff) == Damage::kBadLength);
  CHECK(with32(156, 1) == Damage::kBadLength);
  CHECK(with32(160, 0xffffffff) == Damage::kBadLength);
  CHECK(with32(160, 3) == Damage::kBadLength);
  CHECK(with32(68, 0x61000907) == Damage::kBadField);  // kind 7
  CHECK(with32(68, 0x7a000901) == Damage::kBadField);  // sm_90z
  CHECK(name_of(Damage::kBadChecksum) == "bad_checksum");
  CHECK(name_of(Damage::kFutureVersion) == "future_version");
}

TEST_CASE("decoding and summarizing survive any bytes behind a checksum that fits") {
  std::mt19937 random(20'260'101);
  const std::vector<std::byte> good = encode(make_entry(7));
  const int rounds = JIT_TEST_SANITIZED ? 50'000 : 300'000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::byte> bytes = good;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      const std::size_t range = random() % 2 == 0 ? kEntryHeaderBytes : bytes.size();
      bytes[random() % range] = static_cast<std::byte>(random());
    }
    if (random() % 4 == 0) bytes.resize(kEntryChecksumBytes + random() % good.size());
    seal(bytes);
    const Decoded decoded = decode(bytes, nullptr);
    CHECK((decoded.damage == Damage::kNone) == decoded.entry.has_value());
    static_cast<void>(summarize(bytes, bytes.size()));
  }
}

TEST_CASE("a summary needs the beginning alone, and tells nothing of what does not hold together") {
  const Entry entry = make_entry(8, 10'000);
  const std::vector<std::byte> bytes = encode(entry);
  const auto head = std::span(bytes).first(bytes.size() - 10'016);
  const std::optional<EntrySummary> summary = summarize(head, bytes.size());
  REQUIRE(summary);
  CHECK(summary->cubin_bytes == 10'000);
  CHECK(summary->entry.signature == entry.signature);
  CHECK(summary->entry.artifact.facts == entry.artifact.facts);
  CHECK(summary->entry.bundle_files == entry.bundle_files);
  CHECK(summary->entry.options == entry.options);
  CHECK(summary->entry.unit_sha256 == entry.unit_sha256);
  CHECK_FALSE(summarize(head, bytes.size() + 1));
  CHECK_FALSE(summarize(head.first(head.size() - 1), bytes.size()));
  CHECK_FALSE(summarize({}, 0));
}
