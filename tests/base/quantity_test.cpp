#include "base/quantity.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace jit;
using namespace std::chrono_literals;

TEST_CASE("sizes are read as people write them") {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  CHECK(parse_size("0") == 0U);
  CHECK(parse_size("65536") == 65536U);
  CHECK(parse_size("65536B") == 65536U);
  CHECK(parse_size("4GiB") == 4096 * kMiB);
  CHECK(parse_size("4G") == 4096 * kMiB);
  CHECK(parse_size("4g") == 4096 * kMiB);
  CHECK(parse_size("4 GiB") == 4096 * kMiB);
  CHECK(parse_size("500MB") == 500'000'000U);
  CHECK(parse_size("500mb") == 500'000'000U);
  CHECK(parse_size("1.5MiB") == 3 * kMiB / 2);
  CHECK(parse_size("2TiB") == 2 * 1024 * 1024 * kMiB);
  CHECK(parse_size("64k") == 65536U);
}

TEST_CASE("what is no size is refused") {
  for (const char* text :
       {"",      "G",    "-1",  "+1",  "1e9", "4 GiBs", "4Gi", "4iB",  "GiB4", "0x10",
        "1.2.3", "4  G", " 4G", "4G ", "4 ",  "nan",    "inf", "none", ".",    "9999999999T"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("durations are a whole number and a unit") {
  CHECK(parse_duration("30d") == std::chrono::seconds(24h * 30));
  CHECK(parse_duration("2w") == std::chrono::seconds(24h * 14));
  CHECK(parse_duration("12h") == std::chrono::seconds(12h));
  CHECK(parse_duration("90m") == std::chrono::seconds(90min));
  CHECK(parse_duration("0s") == 0s);
  for (const char* text : {"", "d", "30", "30 d", "-1d", "+1d", "1.5d", "1y", "30dd", "1d2h", "d30",
                           "9999999w", "99999999999999999999s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes are printed with one digit after the point") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1.0 KiB");
  CHECK(format_bytes(std::uint64_t{4} << 30) == "4.0 GiB");
  CHECK(parse_size(format_bytes(1536)) == 1536U);
}
