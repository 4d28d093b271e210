// Reading images as the fake driver does.
#pragma once

#include <optional>
#include <string_view>

#include "support/fake_driver.hpp"

namespace jit::testing {

inline constexpr std::string_view kFakeMagic = "FAKECUDA";

// The bytes of a made image.
struct FakeHeader {
  char magic[8];
  std::int32_t arch_number;
  char arch_suffix;
  char symbol[131];
  std::uint32_t params_bytes;
  std::uint32_t static_smem_bytes;
  std::uint32_t max_threads;
};

// The image at `code`, which carries its own length. For a real cubin the kernel is its only one.
// Returns: nullopt if it is neither a cubin nor an image of make_fake_image.
std::optional<FakeImage> read_image(const void* code);

}  // namespace jit::testing
