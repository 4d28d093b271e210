// Pack: many entries in one file that is only ever read.
//
// The format, version 1; every integer is little-endian, every offset is in bytes:
//
//   pack    = header record* names padding { entry padding }* [ tuning ]
//   header  =                       -- 128 bytes
//     0  magic            8 bytes   -- 89 'C' 'P' 'K' 0d 0a 1a 0a: shows text-mode copies
//     8  format version   u32       -- 1
//    12  header bytes     u32       -- 128
//    16  file bytes       u64       -- all of it
//    24  entries          u32       -- at most 2^20
//    28  record bytes     u32       -- 96
//    32  names bytes      u64
//    40  first entry      u64       -- its offset in the file
//    48  records checksum 16 bytes
//    64  names checksum   16 bytes
//    80  tuning bytes     u64       -- at most 64 MiB; 0: there is none
//    88  tuning checksum  16 bytes  -- 0 where there is none
//   104  reserved         8 bytes   -- 0
//   112  header checksum  16 bytes  -- over the 112 bytes before it
//   record  =                       -- 96 bytes, one per entry; ascending by key, NVRTC release
//                                   -- and build, no two alike
//     0  unit key         32 bytes
//    32  NVRTC release    u16 major, u16 minor
//    36  NVRTC build      16 bytes
//    52  artefact kind    u8        -- 1: cubin
//    53  architecture     u8 major, u8 minor, u8 suffix (0, 'a' or 'f')
//    56  entry            u64 offset in the file
//    64  entry            u32 bytes
//    68  cubin            u32 bytes
//    72  signature        u32 offset in strings, u32 bytes
//    80  template's name  u32 offset in strings, u32 bytes
//    88  registers        u32
//    92  spills           u32       -- bytes
//   names   = { record-number:u32 }* strings
//                                   -- the numbers of all records, ascending by signature
//   entry   = as in entry.hpp, byte for byte, in the order of the records
//   tuning  = JSON lines, the tuning records that concern the entries: the last bytes of the file.
//             Readers that do not know them pass over them: the format is version 1 all the same
//   padding = 0 to 63 bytes of 0, up to a multiple of 64; none at the end of the file
//
// A checksum is XXH3-128, canonical byte order. A pack says nothing of who made it, when and where.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/digest.hpp"
#include "signature/artifact.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {

inline constexpr std::array<std::uint8_t, 8> kPackMagic = {0x89, 'C',  'P',  'K',
                                                           0x0d, 0x0a, 0x1a, 0x0a};
inline constexpr std::uint32_t kPackFormatVersion = 1;
inline constexpr std::size_t kPackHeaderBytes = 128;
inline constexpr std::size_t kPackRecordBytes = 96;
inline constexpr std::size_t kPackAlignment = 64;
inline constexpr std::uint32_t kMaxPackEntries = std::uint32_t{1} << 20;
inline constexpr std::uint64_t kMaxPackNamesBytes = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kMaxPackTuningBytes = std::uint64_t{64} << 20;

inline constexpr std::uint64_t padded(std::uint64_t offset) noexcept {
  return (offset + kPackAlignment - 1) / kPackAlignment * kPackAlignment;
}

struct PackHeader {
  std::uint64_t file_bytes = 0;
  std::uint32_t entries = 0;
  std::uint64_t names_bytes = 0;
  std::uint64_t first_entry = 0;
  Xxh3Digest records_checksum{};
  Xxh3Digest names_checksum{};
  std::uint64_t tuning_bytes = 0;
  Xxh3Digest tuning_checksum{};
  std::uint64_t records_bytes() const noexcept { return std::uint64_t{entries} * kPackRecordBytes; }
  std::uint64_t names_offset() const noexcept { return kPackHeaderBytes + records_bytes(); }
  std::uint64_t tuning_offset() const noexcept { return file_bytes - tuning_bytes; }
};

// A stretch of the strings.
struct PackText {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  bool operator==(const PackText&) const = default;
};

struct PackRecord {
  UnitKey key;
  ToolchainId toolchain;
  ArtifactKind kind = ArtifactKind::kCubin;
  Arch arch;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t cubin_bytes = 0;
  PackText signature;
  PackText name;
  std::uint32_t registers = 0;
  std::uint32_t spill_bytes = 0;
};

template <std::unsigned_integral T>
T load_little(const std::byte* at) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(at[i]) << (8 * i)));
  }
  return value;
}

std::array<std::byte, kPackHeaderBytes> encode(const PackHeader& header);
std::array<std::byte, kPackRecordBytes> encode(const PackRecord& record);

// Reads what encode made. `why` is set where it is none: a word for people.
// Returns: nullopt if it is no header, or if its lengths cannot be those of a file of `file_bytes`.
std::optional<PackHeader> decode_header(std::span<const std::byte, kPackHeaderBytes> bytes,
                                        std::uint64_t file_bytes, const char** why);
PackRecord decode_record(std::span<const std::byte, kPackRecordBytes> bytes) noexcept;

}  // namespace jit::inline v1
