// common/swizzle.cuh against the hardware's reading of a descriptor, emulated here: where threads
// put an element must be where a product looks for it.
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <set>

#include "common/swizzle.cuh"
#include "gpu/tensor_box.hpp"

namespace jit::test {
namespace {

using cubinet::MajorTile;
using cubinet::SwizzledTile;

// A descriptor taken apart. Units: bytes.
struct Descriptor {
  std::uint64_t bits = 0;
  std::uint64_t start() const { return (bits & 0x3FFF) << 4; }
  std::uint64_t leading() const { return (bits >> 16 & 0x3FFF) << 4; }
  std::uint64_t stride() const { return (bits >> 32 & 0x3FFF) << 4; }
  std::uint64_t base_offset() const { return bits >> 49 & 7; }
  std::uint64_t row_bytes() const {
    constexpr std::uint64_t kRowBytes[] = {16, 128, 64, 32};
    return kRowBytes[bits >> 62];
  }
};

// Address bits 4 and up are XORed with bits 7 and up: as many as a row has chunk bits.
std::uint64_t exchanged(std::uint64_t address, std::uint64_t row_bytes) {
  return address ^ ((address / 128 % (row_bytes / 16)) * 16);
}

// Where a product reads 16-byte chunk `chunk` (of two) along K of row `row` of a K-major operand.
std::uint64_t k_major_address(const Descriptor& operand, std::uint64_t row, std::uint64_t chunk) {
  const std::uint64_t width = operand.row_bytes();
  const std::uint64_t next_chunk = width == 16 ? operand.leading() : 16;
  const std::uint64_t straight =
      operand.start() + row / 8 * operand.stride() + row % 8 * width + chunk * next_chunk;
  return exchanged(straight, width);
}

// Where it reads chunk `chunk` along M or N of step `k` (of 16) of an M- or N-major operand.
std::uint64_t major_address(const Descriptor& operand, std::uint64_t k, std::uint64_t chunk) {
  const std::uint64_t width = operand.row_bytes();
  if (width == 16) {
    return operand.start() + k / 8 * operand.leading() + k % 8 * 16 + chunk * operand.stride();
  }
  const std::uint64_t per_row = width / 16;
  const std::uint64_t straight = operand.start() + k / 8 * operand.stride() + k % 8 * width +
                                 chunk / per_row * operand.leading() + chunk % per_row * 16;
  return exchanged(straight, width);
}

const void* pointer_to(std::uint64_t address) {
  // No memory: shared_address() takes the number out again.
  return reinterpret_cast<const void*>(address);  // NOLINT(performance-no-int-to-ptr)
}

template <int kRowBytes>
std::uint64_t begin_of(std::uint64_t tile_number) {
  return tile_number * SwizzledTile<kRowBytes>::kAlignment;
}

TEMPLATE_TEST_CASE_SIG("a K-major tile is where its descriptor says", "[kernels][swizzle]",
                       ((int kRowBytes), kRowBytes), 32, 64, 128) {
  using Tile = SwizzledTile<kRowBytes>;
  for (const std::uint64_t number : {0U, 1U, 5U, 31U}) {
    const std::uint64_t begin = begin_of<kRowBytes>(number);
    const std::uint64_t first = Tile::descriptor(pointer_to(begin));
    for (unsigned step = 0; step < kRowBytes; step += 32) {
      const Descriptor operand{cubinet::advance_k(first, step)};
      REQUIRE(operand.row_bytes() == kRowBytes);
      REQUIRE(operand.base_offset() == 0);
      for (unsigned row = 0; row < 256; ++row) {
        for (unsigned chunk = 0; chunk < 2; ++chunk) {
          REQUIRE(k_major_address(operand, row, chunk) ==
                  begin + Tile::offset(row, step + 16 * chunk));
        }
      }
    }
  }
}

TEST_CASE("a K-major tile of 16-byte rows is where its descriptor says", "[kernels][swizzle]") {
  using Tile = SwizzledTile<16>;
  for (const unsigned rows : {8U, 64U, 256U}) {
    const std::uint64_t begin = 3 * Tile::kAlignment;
    const std::uint64_t first = Tile::descriptor(pointer_to(begin), 16 * rows);
    for (unsigned step = 0; step < 4; ++step) {
      const Descriptor operand{cubinet::advance_k(first, step * 2 * 16 * rows)};
      REQUIRE(operand.row_bytes() == 16);
      for (unsigned row = 0; row < rows; ++row) {
        for (unsigned chunk = 0; chunk < 2; ++chunk) {
          REQUIRE(k_major_address(operand, row, chunk) ==
                  begin + (2 * step + chunk) * 16 * rows + Tile::offset(row, 0));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE_SIG("an M- or N-major tile is where its descriptor says", "[kernels][swizzle]",
                       ((int kRowBytes), kRowBytes), 16, 32, 64, 128) {
  using Tile = MajorTile<kRowBytes>;
  constexpr unsigned kDepth = 64;
  constexpr unsigned kTileBytes = kDepth * kRowBytes;
  const std::uint64_t begin = begin_of<kRowBytes>(7);
  const std::uint64_t first = Tile::descriptor(pointer_to(begin), kTileBytes);
  for (unsigned k = 0; k < kDepth; ++k) {
    const Descriptor operand{cubinet::advance_k(first, k / 16 * 16 * kRowBytes)};
    REQUIRE(operand.row_bytes() == kRowBytes);
    for (unsigned chunk = 0; chunk < 32; ++chunk) {  // 256 elements of 16 bits
      const unsigned byte = 16 * chunk;
      REQUIRE(major_address(operand, k % 16, chunk) ==
              begin + byte / kRowBytes * kTileBytes + Tile::offset(k, byte % kRowBytes));
    }
  }
}

TEMPLATE_TEST_CASE_SIG("a tile's offsets are all of its bytes, once", "[kernels][swizzle]",
                       ((int kRowBytes), kRowBytes), 16, 32, 64, 128) {
  std::set<unsigned> seen;
  for (unsigned row = 0; row < 64; ++row) {
    for (unsigned byte = 0; byte < kRowBytes; ++byte) {
      const unsigned offset = SwizzledTile<kRowBytes>::offset(row, byte);
      REQUIRE(offset / kRowBytes == row);  // chunks never leave their row
      REQUIRE(offset % 16 == byte % 16);
      seen.insert(offset);
    }
  }
  CHECK(seen.size() == 64 * kRowBytes);
}

// Where TMA puts a box, as the GPU tests of boxes have it, is where threads look for its elements.
TEST_CASE("a tile is laid out as a box of its map's swizzle", "[kernels][swizzle]") {
  for (std::size_t row = 0; row < 256; ++row) {
    for (std::size_t byte = 0; byte < 128; ++byte) {
      const auto r = static_cast<unsigned>(row);
      const auto b = static_cast<unsigned>(byte);
      REQUIRE(SwizzledTile<128>::offset(r, b) == swizzled(Swizzle::k128Bytes, 128 * row + byte));
      if (byte >= 64) continue;
      REQUIRE(SwizzledTile<64>::offset(r, b) == swizzled(Swizzle::k64Bytes, 64 * row + byte));
      if (byte >= 32) continue;
      REQUIRE(SwizzledTile<32>::offset(r, b) == swizzled(Swizzle::k32Bytes, 32 * row + byte));
      if (byte >= 16) continue;
      REQUIRE(SwizzledTile<16>::offset(r, b) == swizzled(Swizzle::kNone, 16 * row + byte));
    }
  }
}

// Eight neighbouring rows' chunks of one column are in all banks: what swizzling is for.
TEST_CASE("a column of eight chunks meets every bank once", "[kernels][swizzle]") {
  for (unsigned chunk = 0; chunk < 8; ++chunk) {
    std::set<unsigned> banks;
    for (unsigned row = 0; row < 8; ++row) {
      banks.insert(SwizzledTile<128>::offset(row, 16 * chunk) % 128);
    }
    CHECK(banks.size() == 8);
  }
}

}  // namespace
}  // namespace jit::test
