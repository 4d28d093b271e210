#include "cache/pack_format.hpp"

#include "cache/entry.hpp"

namespace jit::inline v1 {
namespace {

// Writes one field after the other; what is not written is 0.
class Fields {
 public:
  explicit Fields(std::span<std::byte> out) : out_(out) {}
  template <std::unsigned_integral T>
  Fields& integer(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_[at_++] = static_cast<std::byte>(static_cast<std::uint8_t>(value >> (8 * i)));
    }
    return *this;
  }
  Fields& raw(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) out_[at_++] = static_cast<std::byte>(byte);
    return *this;
  }

 private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

template <std::size_t N>
void fill(std::array<std::uint8_t, N>& out, const std::byte* from) noexcept {
  for (std::size_t i = 0; i < N; ++i) out[i] = std::to_integer<std::uint8_t>(from[i]);
}

constexpr std::size_t kChecksumAt = kPackHeaderBytes - sizeof(Xxh3Digest);

bool consistent(const PackHeader& header) noexcept {
  if (header.entries > kMaxPackEntries || header.names_bytes > kMaxPackNamesBytes) return false;
  if (header.names_bytes < std::uint64_t{header.entries} * sizeof(std::uint32_t)) return false;
  if (header.tuning_bytes > kMaxPackTuningBytes || header.tuning_bytes > header.file_bytes) {
    return false;
  }
  const std::uint64_t index_end = header.names_offset() + header.names_bytes;
  const std::uint64_t end = header.tuning_offset();
  if (header.entries != 0) {
    return header.first_entry == padded(index_end) && header.first_entry < end;
  }
  const std::uint64_t expected = header.tuning_bytes == 0 ? index_end : padded(index_end);
  return header.first_entry == index_end && end == expected;
}

}  // namespace

std::array<std::byte, kPackHeaderBytes> encode(const PackHeader& header) {
  std::array<std::byte, kPackHeaderBytes> bytes{};
  Fields(bytes)
      .raw(kPackMagic)
      .integer(kPackFormatVersion)
      .integer(static_cast<std::uint32_t>(kPackHeaderBytes))
      .integer(header.file_bytes)
      .integer(header.entries)
      .integer(static_cast<std::uint32_t>(kPackRecordBytes))
      .integer(header.names_bytes)
      .integer(header.first_entry)
      .raw(header.records_checksum)
      .raw(header.names_checksum)
      .integer(header.tuning_bytes)
      .raw(header.tuning_checksum);
  const std::span<std::byte> all(bytes);
  Fields(all.subspan(kChecksumAt)).raw(xxh3_128(all.first(kChecksumAt)));
  return bytes;
}

std::array<std::byte, kPackRecordBytes> encode(const PackRecord& record) {
  std::array<std::byte, kPackRecordBytes> bytes{};
  Fields(bytes)
      .raw(record.key.bytes)
      .integer(record.toolchain.release.major)
      .integer(record.toolchain.release.minor)
      .raw(record.toolchain.build)
      .integer(static_cast<std::uint8_t>(record.kind))
      .integer(record.arch.major)
      .integer(record.arch.minor)
      .integer(static_cast<std::uint8_t>(record.arch.suffix))
      .integer(record.offset)
      .integer(record.bytes)
      .integer(record.cubin_bytes)
      .integer(record.signature.offset)
      .integer(record.signature.bytes)
      .integer(record.name.offset)
      .integer(record.name.bytes)
      .integer(record.registers)
      .integer(record.spill_bytes);
  return bytes;
}

std::optional<PackHeader> decode_header(std::span<const std::byte, kPackHeaderBytes> bytes,
                                        std::uint64_t file_bytes, const char** why) {
  const auto no = [why](const char* reason) {
    *why = reason;
    return std::nullopt;
  };
  std::array<std::uint8_t, 8> magic{};
  fill(magic, bytes.data());
  if (magic != kPackMagic) return no("no pack at all");
  const auto version = load_little<std::uint32_t>(bytes.data() + 8);
  if (version != kPackFormatVersion) {
    return no(version > kPackFormatVersion ? "of a later format" : "of a format that never was");
  }
  Xxh3Digest stored{};
  fill(stored, bytes.data() + kChecksumAt);
  if (stored != xxh3_128(bytes.first(kChecksumAt))) return no("its header is damaged");
  PackHeader header;
  header.file_bytes = load_little<std::uint64_t>(bytes.data() + 16);
  header.entries = load_little<std::uint32_t>(bytes.data() + 24);
  header.names_bytes = load_little<std::uint64_t>(bytes.data() + 32);
  header.first_entry = load_little<std::uint64_t>(bytes.data() + 40);
  fill(header.records_checksum, bytes.data() + 48);
  fill(header.names_checksum, bytes.data() + 64);
  header.tuning_bytes = load_little<std::uint64_t>(bytes.data() + 80);
  fill(header.tuning_checksum, bytes.data() + 88);
  const bool shape = load_little<std::uint32_t>(bytes.data() + 12) == kPackHeaderBytes &&
                     load_little<std::uint32_t>(bytes.data() + 28) == kPackRecordBytes;
  if (!shape || !consistent(header)) return no("its lengths contradict each other");
  if (header.file_bytes > file_bytes) return no("truncated: it is shorter than it says");
  if (header.file_bytes < file_bytes) return no("it is longer than it says");
  return header;
}

PackRecord decode_record(std::span<const std::byte, kPackRecordBytes> bytes) noexcept {
  const std::byte* const at = bytes.data();
  PackRecord record;
  fill(record.key.bytes, at);
  record.toolchain.release = {load_little<std::uint16_t>(at + 32),
                              load_little<std::uint16_t>(at + 34)};
  fill(record.toolchain.build, at + 36);
  record.kind = static_cast<ArtifactKind>(at[52]);
  record.arch = {std::to_integer<std::uint8_t>(at[53]), std::to_integer<std::uint8_t>(at[54]),
                 static_cast<char>(at[55])};
  record.offset = load_little<std::uint64_t>(at + 56);
  record.bytes = load_little<std::uint32_t>(at + 64);
  record.cubin_bytes = load_little<std::uint32_t>(at + 68);
  record.signature = {load_little<std::uint32_t>(at + 72), load_little<std::uint32_t>(at + 76)};
  record.name = {load_little<std::uint32_t>(at + 80), load_little<std::uint32_t>(at + 84)};
  record.registers = load_little<std::uint32_t>(at + 88);
  record.spill_bytes = load_little<std::uint32_t>(at + 92);
  return record;
}

}  // namespace jit::inline v1
