#include "base/hex.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>

using namespace jit;

TEST_CASE("hex text goes there and back") {
  const std::vector<std::uint8_t> bytes = {0x00, 0x0f, 0xf0, 0xa5, 0xff};
  CHECK(to_hex(bytes) == "000ff0a5ff");
  CHECK(from_hex("000ff0a5ff") == bytes);
  CHECK(from_hex("") == std::vector<std::uint8_t>());
}

TEST_CASE("hex text has one spelling and one length") {
  std::array<std::uint8_t, 2> bytes{};
  for (const char* text : {"0", "000", "00000", "00FF", "0x00", " 000", "00 0", "00g0", "+000"}) {
    CAPTURE(text);
    CHECK_FALSE(from_hex(text, bytes));
  }
  CHECK(from_hex("beef", bytes));
  CHECK(bytes == std::array<std::uint8_t, 2>{0xbe, 0xef});
}
