// Entry: one cached artefact as one self-verifying file.
//
// The format, version 2; every integer is little-endian, every offset is in bytes:
//
//   entry    = header metadata cubin checksum
//   header   =                      -- 240 bytes
//     0  magic            8 bytes   -- 89 'C' 'B' 'N' 0d 0a 1a 0a: shows text-mode copies
//     8  format version   u32       -- 2
//    12  header bytes     u32       -- 240
//    16  file bytes       u64       -- all of it, checksum included
//    24  metadata bytes   u32
//    28  cubin bytes      u32       -- 1 .. 64 MiB
//    32  unit key         32 bytes
//    64  NVRTC release    u16 major, u16 minor
//    68  artefact kind    u8        -- 1: cubin
//    69  architecture     u8 major, u8 minor, u8 suffix (0, 'a' or 'f')
//    72  NVRTC build      16 bytes
//    88  facts            u32 x 8   -- registers, smem, spill stores, spill loads, stack,
//                                   -- serialized wgmma, params bytes, max threads
//   120  compile time     f64       -- milliseconds
//   128  epoch            u64
//   136  string bytes     u32 x 5   -- symbol, signature, name, producer, NVRTC version; each at
//                                   -- most 64 KiB
//   156  bundle files     u32       -- at most 4096
//   160  options          u32       -- at most 256
//   164  key format       u32       -- kKeyFormatVersion of its maker
//   168  unit digest      32 bytes  -- SHA-256 of the rendered unit
//   200  bundle digest    32 bytes
//   232  reserved         u64       -- 0
//   metadata = symbol signature name producer nvrtc-version
//              { path-bytes:u32 path sha256:32 }* { option-bytes:u32 option }*
//   checksum = XXH3-128 over everything before it, canonical byte order (16 bytes)
//
// Version 1 had no digests, no options and no full version of NVRTC.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "signature/artifact.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {

inline constexpr std::uint32_t kEntryFormatVersion = 2;
inline constexpr std::size_t kEntryHeaderBytes = 240;
inline constexpr std::size_t kEntryChecksumBytes = 16;
inline constexpr std::size_t kMaxCubinBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxStringBytes = std::size_t{64} << 10;
inline constexpr std::size_t kMaxMetadataBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMaxBundleFiles = 4096;
inline constexpr std::size_t kMaxOptions = 256;
inline constexpr std::size_t kMaxEntryBytes =
    kEntryHeaderBytes + kMaxMetadataBytes + kMaxCubinBytes + kEntryChecksumBytes;

// One file of the bundle that an entry was made from; `explain` compares them.
struct FileDigest {
  std::string path;
  std::array<std::uint8_t, 32> sha256{};
  auto operator<=>(const FileDigest&) const = default;
};

// Entry is everything that one file of the cache says.
struct Entry {
  UnitKey key;
  Artifact artifact;
  std::string signature;
  std::string name;      // of the template
  std::string producer;  // "cubinet 0.1.0"
  std::uint64_t epoch = 0;
  // What its key was taken over, see key.hpp: that is what two entries are compared by.
  std::uint32_t key_format = kKeyFormatVersion;
  std::array<std::uint8_t, 32> unit_sha256{};
  std::array<std::uint8_t, 32> bundle_sha256{};
  std::vector<std::string> options;  // of the compiler, in their canonical order
  std::vector<FileDigest> bundle_files;
};

// Why bytes, or a file, are not the entry that was asked for.
enum class Damage : std::uint8_t {
  kNone,
  kTruncated,      // shorter than it says
  kBadMagic,       // no entry at all
  kOtherVersion,   // a format version older than any
  kFutureVersion,  // of a later format
  kBadLength,      // lengths that contradict each other, exceed a cap, or bytes too many
  kBadChecksum,
  kBadField,        // intact, but says what cannot be
  kWrongKey,        // an intact entry of another unit
  kWrongToolchain,  // an intact entry of another compiler than its file name says
  kNotRegular,      // a link, directory, fifo, device or socket
  kForeignOwner,    // a file of another user
  kOpenToOthers,    // a file that others may write to
  kRefusedByDriver  // given from outside: the artefact itself is broken
};
std::string_view name_of(Damage damage) noexcept;  // "bad_checksum"

// The bytes of one file. Returns: empty if a field exceeds its cap or the cubin is empty.
std::vector<std::byte> encode(const Entry& entry);

struct Decoded {
  std::optional<Entry> entry;  // set if and only if damage is kNone
  Damage damage = Damage::kNone;
};

// Reads what encode made, and survives any bytes. Nothing is believed, and no length is allocated,
// before lengths and checksum agree with `bytes`.
// Requires: `expected`, if given, is the key that the entry must have.
Decoded decode(std::span<const std::byte> bytes, const UnitKey* expected);

// What the beginning of a file says about itself. Nothing is verified: for lists shown to people.
struct EntrySummary {
  Entry entry;  // artifact.cubin is empty
  std::uint32_t cubin_bytes = 0;
};

// Reads header and metadata from the first bytes of a file of `file_bytes`, without the checksum.
// Returns: nullopt if they do not even hold together; survives any bytes.
std::optional<EntrySummary> summarize(std::span<const std::byte> beginning,
                                      std::uint64_t file_bytes);

}  // namespace jit::inline v1
