#include <algorithm>
#include <bit>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "cache/entry.hpp"
#include "cache/entry_fields.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kVersionOffset = 8;
constexpr std::size_t kStringCount = 5;

// Takes little-endian fields off the front; once it runs dry it stays dry and yields zeros.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::span<const std::byte> raw(std::size_t count) {
    if (count > rest_.size()) {
      dry_ = true;
      rest_ = {};
      return {};
    }
    const auto front = rest_.first(count);
    rest_ = rest_.subspan(count);
    return front;
  }
  template <class T>
  T integer() {
    const auto bytes = raw(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return static_cast<T>(value);
  }
  template <std::size_t N>
  void fill(std::array<std::uint8_t, N>& out) {
    const auto bytes = raw(N);
    std::transform(bytes.begin(), bytes.end(), out.begin(), std::to_integer<std::uint8_t>);
  }
  std::string text(std::size_t count) { return std::string(as_text(raw(count))); }
  bool dry() const { return dry_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool dry_ = false;
};

// The header's lengths.
struct Lengths {
  std::uint64_t file = 0;
  std::uint32_t metadata = 0;
  std::uint32_t cubin = 0;
  std::array<std::uint32_t, kStringCount> strings{};
  std::uint32_t bundle_files = 0;
  std::uint32_t options = 0;
};

bool consistent(const Lengths& lengths) {
  if (lengths.cubin == 0 || lengths.cubin > kMaxCubinBytes) return false;
  if (lengths.metadata > kMaxMetadataBytes || lengths.bundle_files > kMaxBundleFiles) return false;
  if (lengths.options > kMaxOptions) return false;
  std::uint64_t strings = 0;
  for (const std::uint32_t length : lengths.strings) {
    if (length > kMaxStringBytes) return false;
    strings += length;
  }
  const std::uint64_t least =
      strings + std::uint64_t{lengths.bundle_files} * 36 + std::uint64_t{lengths.options} * 4;
  if (least > lengths.metadata) return false;
  return lengths.file ==
         kEntryHeaderBytes + lengths.metadata + std::uint64_t{lengths.cubin} + kEntryChecksumBytes;
}

// Magic, version, and what the file says of its length, in the order that tells most.
Damage check_preamble(std::span<const std::byte> bytes) {
  const std::size_t magic = std::min(bytes.size(), kEntryMagic.size());
  const bool same = std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(magic),
                               kEntryMagic.begin(), [](std::byte byte, std::uint8_t expected) {
                                 return std::to_integer<std::uint8_t>(byte) == expected;
                               });
  if (!same) return Damage::kBadMagic;
  if (bytes.size() < kVersionOffset + sizeof(std::uint32_t)) return Damage::kTruncated;
  const auto version = Reader(bytes.subspan(kVersionOffset)).integer<std::uint32_t>();
  if (version > kEntryFormatVersion) return Damage::kFutureVersion;
  if (version < kEntryFormatVersion) return Damage::kOtherVersion;
  if (bytes.size() < kEntryHeaderBytes) return Damage::kTruncated;
  return Damage::kNone;
}

// Fixed fields and lengths. Requires: check_preamble found nothing.
Lengths read_header(Reader& in, Entry& entry) {
  Lengths lengths;
  Artifact& artifact = entry.artifact;
  in.raw(kVersionOffset + sizeof(std::uint32_t));
  const auto header_bytes = in.integer<std::uint32_t>();
  lengths.file = header_bytes == kEntryHeaderBytes ? in.integer<std::uint64_t>() : 0;
  if (lengths.file == 0) return {};
  lengths.metadata = in.integer<std::uint32_t>();
  lengths.cubin = in.integer<std::uint32_t>();
  in.fill(entry.key.bytes);
  artifact.toolchain.release.major = in.integer<std::uint16_t>();
  artifact.toolchain.release.minor = in.integer<std::uint16_t>();
  artifact.kind = static_cast<ArtifactKind>(in.integer<std::uint8_t>());
  artifact.arch.major = in.integer<std::uint8_t>();
  artifact.arch.minor = in.integer<std::uint8_t>();
  artifact.arch.suffix = static_cast<char>(in.integer<std::uint8_t>());
  in.fill(artifact.toolchain.build);
  for (std::uint32_t* fact : facts_of(artifact.facts)) *fact = in.integer<std::uint32_t>();
  artifact.facts.compile_ms = std::bit_cast<double>(in.integer<std::uint64_t>());
  entry.epoch = in.integer<std::uint64_t>();
  for (std::uint32_t& length : lengths.strings) length = in.integer<std::uint32_t>();
  lengths.bundle_files = in.integer<std::uint32_t>();
  lengths.options = in.integer<std::uint32_t>();
  entry.key_format = in.integer<std::uint32_t>();
  in.fill(entry.unit_sha256);
  in.fill(entry.bundle_sha256);
  in.raw(sizeof(std::uint64_t));
  return lengths;
}

// Requires: consistent(lengths). Returns: false if the parts do not add up.
bool read_metadata(Reader& in, const Lengths& lengths, Entry& entry) {
  Reader metadata(in.raw(lengths.metadata));
  const auto strings = strings_of(entry);
  for (std::size_t i = 0; i < kStringCount; ++i) *strings[i] = metadata.text(lengths.strings[i]);
  entry.bundle_files.reserve(lengths.bundle_files);
  for (std::uint32_t i = 0; i < lengths.bundle_files && !metadata.dry(); ++i) {
    FileDigest file;
    file.path = metadata.text(metadata.integer<std::uint32_t>());
    metadata.fill(file.sha256);
    entry.bundle_files.push_back(std::move(file));
  }
  entry.options.reserve(lengths.options);
  for (std::uint32_t i = 0; i < lengths.options && !metadata.dry(); ++i) {
    entry.options.push_back(metadata.text(metadata.integer<std::uint32_t>()));
  }
  return !in.dry() && !metadata.dry() && metadata.left() == 0;
}

bool plausible(const Entry& entry) {
  const Arch& arch = entry.artifact.arch;
  const bool suffix = arch.suffix == 0 || arch.suffix == 'a' || arch.suffix == 'f';
  return entry.artifact.kind == ArtifactKind::kCubin && suffix && arch.major != 0 &&
         arch.minor < 10 && !entry.artifact.symbol.empty();
}

}  // namespace

std::string_view name_of(Damage damage) noexcept {
  switch (damage) {
    case Damage::kNone: return "none";
    case Damage::kTruncated: return "truncated";
    case Damage::kBadMagic: return "bad_magic";
    case Damage::kOtherVersion: return "other_version";
    case Damage::kFutureVersion: return "future_version";
    case Damage::kBadLength: return "bad_length";
    case Damage::kBadChecksum: return "bad_checksum";
    case Damage::kBadField: return "bad_field";
    case Damage::kWrongKey: return "wrong_key";
    case Damage::kWrongToolchain: return "wrong_toolchain";
    case Damage::kNotRegular: return "not_regular";
    case Damage::kForeignOwner: return "foreign_owner";
    case Damage::kOpenToOthers: return "open_to_others";
    case Damage::kRefusedByDriver: return "refused_by_driver";
  }
  return "?";
}

Decoded decode(std::span<const std::byte> bytes, const UnitKey* expected) {
  const auto damaged = [](Damage damage) { return Decoded{std::nullopt, damage}; };
  if (const Damage damage = check_preamble(bytes); damage != Damage::kNone) return damaged(damage);
  Entry entry;
  Reader in(bytes);
  const Lengths lengths = read_header(in, entry);
  if (!consistent(lengths)) return damaged(Damage::kBadLength);
  if (lengths.file > bytes.size()) return damaged(Damage::kTruncated);
  if (lengths.file < bytes.size()) return damaged(Damage::kBadLength);
  const auto body = bytes.first(bytes.size() - kEntryChecksumBytes);
  Xxh3Digest stored{};
  Reader(bytes.last(kEntryChecksumBytes)).fill(stored);
  if (stored != xxh3_128(body)) return damaged(Damage::kBadChecksum);
  if (expected != nullptr && entry.key != *expected) return damaged(Damage::kWrongKey);
  if (!read_metadata(in, lengths, entry)) return damaged(Damage::kBadLength);
  if (!plausible(entry)) return damaged(Damage::kBadField);
  const auto cubin = in.raw(lengths.cubin);
  entry.artifact.cubin.assign(cubin.begin(), cubin.end());
  return {std::move(entry), Damage::kNone};
}

std::optional<EntrySummary> summarize(std::span<const std::byte> beginning,
                                      std::uint64_t file_bytes) {
  if (check_preamble(beginning) != Damage::kNone) return std::nullopt;
  EntrySummary summary;
  Reader in(beginning);
  const Lengths lengths = read_header(in, summary.entry);
  if (!consistent(lengths) || lengths.file != file_bytes) return std::nullopt;
  if (!read_metadata(in, lengths, summary.entry)) return std::nullopt;
  summary.cubin_bytes = lengths.cubin;
  return summary;
}

}  // namespace jit::inline v1
