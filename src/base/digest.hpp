// Digests: SHA-256 for identity, XXH3-128 for rot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace jit::inline v1 {

using Sha256Digest = std::array<std::uint8_t, 32>;
using Xxh3Digest = std::array<std::uint8_t, 16>;

// Sha256 takes text in pieces. It goes through libcrypto's low-level calls: those start no
// provider, which would cost the first hit of a process a millisecond.
class Sha256 {
 public:
  Sha256() noexcept;
  Sha256& update(std::span<const std::byte> bytes) noexcept;
  Sha256& update(std::string_view text) noexcept;
  // Ends the digest and starts a new one.
  Sha256Digest finish() noexcept;

 private:
  alignas(8) std::array<std::byte, 112> state_;
};

Sha256Digest sha256(std::string_view text) noexcept;
Sha256Digest sha256(std::span<const std::byte> bytes) noexcept;

// XXH3 with 128 bits, in its canonical (big-endian) byte order. No protection against intent.
Xxh3Digest xxh3_128(std::span<const std::byte> bytes) noexcept;

}  // namespace jit::inline v1
