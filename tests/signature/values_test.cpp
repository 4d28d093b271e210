#include "signature/values.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace jit {
namespace {

constexpr std::array kTypes{Value(f32), Value(bf16)};
constexpr std::array kOrders{Value("row"), Value("column")};

table::ConstantDecl ranged(std::int64_t min, std::int64_t max, std::int64_t step) {
  table::ConstantDecl decl;
  decl.name = "N";
  decl.range = {min, max, step};
  return decl;
}

table::ConstantDecl listed(table::Type type, std::span<const Value> values) {
  table::ConstantDecl decl;
  decl.name = "N";
  decl.type = type;
  decl.values = values;
  return decl;
}

TEST_CASE("values have one canonical text") {
  CHECK(format_value(Value(true)) == "true");
  CHECK(format_value(Value(-7)) == "-7");
  CHECK(format_value(Value(e4m3)) == "e4m3");
  CHECK(format_value(Value("row")) == "row");
}

TEST_CASE("every dtype is read back from its name") {
  for (const DType type : {f32, f16, bf16, e4m3, e5m2, i32, i8, u8}) {
    CHECK(parse_dtype(name_of(type)) == type);
    CHECK(bytes_of(type) > 0);
  }
  CHECK_FALSE(parse_dtype("BF16"));
  CHECK_FALSE(parse_dtype(""));
}

TEST_CASE("bool and integer never stand for each other") {
  table::ConstantDecl flag;
  flag.type = table::Type::kBool;
  CHECK(find_in_domain(flag, Value(true)) == Value(true));
  CHECK_FALSE(find_in_domain(flag, Value(1)));
  CHECK_FALSE(find_in_domain(ranged(0, 8, 1), Value(true)));
}

TEST_CASE("an unsigned integer beyond 2^63 - 1 is refused, not wrapped") {
  CHECK(Value(std::uint64_t{1} << 62).as_int() == std::int64_t{1} << 62);
  CHECK_THROWS_AS(Value(std::numeric_limits<std::uint64_t>::max()), Error);
}

TEST_CASE("a size takes every integer type and refuses what does not fit") {
  constexpr Sizes kSizes{{"num_tokens", 4096}, {"batch", std::size_t{7}}};
  static_assert(kSizes.begin()[0].value == 4096 && kSizes.begin()[1].value == 7);
  const std::size_t count = 12;
  const Sizes sizes{{"num_tokens", count}};
  CHECK(sizes.begin()->name == "num_tokens");
  CHECK(sizes.begin()->value == 12);
  CHECK_THROWS_AS(Size("num_tokens", std::numeric_limits<std::uint64_t>::max()), Error);
  static_assert(!std::is_constructible_v<Size, std::string_view, bool>);
}

TEST_CASE("a range has its ends and its steps and nothing else") {
  const auto decl = ranged(8, 32, 8);
  for (const int inside : {8, 16, 24, 32}) CHECK(find_in_domain(decl, Value(inside)));
  for (const int outside : {0, 7, 9, 12, 33, 40, -8})
    CHECK_FALSE(find_in_domain(decl, Value(outside)));
  CHECK(domain_size(decl) == 4);
  CHECK(domain_value(decl, 3) == Value(32));
  CHECK(format_domain(decl) == "8..32 step 8");
  CHECK(format_domain(ranged(1, 2, 1)) == "1..2");
}

TEST_CASE("a range across zero and to the limits of 64 bits holds") {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  CHECK(in_range({kMin, kMax, 5}, kMin));
  CHECK(in_range({kMin, kMax, 5}, kMin + 5));
  CHECK_FALSE(in_range({kMin, kMax, 5}, kMin + 4));
  CHECK(in_range({-4, 4, 4}, 0));
  CHECK_FALSE(in_range({-4, 4, 4}, 2));
}

TEST_CASE("a dtype may be given as text and becomes the declared value") {
  const auto decl = listed(table::Type::kDType, kTypes);
  CHECK(find_in_domain(decl, Value("bf16")) == Value(bf16));
  CHECK(find_in_domain(decl, Value(bf16)) == Value(bf16));
  CHECK_FALSE(find_in_domain(decl, Value("f16")));
  CHECK_FALSE(find_in_domain(decl, Value("bfloat16")));
  CHECK_FALSE(find_in_domain(decl, Value(2)));
  CHECK(format_domain(decl) == "one of f32, bf16");
}

TEST_CASE("an enumerator found is the declaration's own, not the caller's text") {
  const auto decl = listed(table::Type::kEnum, kOrders);
  std::string given = "column";
  const auto found = find_in_domain(decl, Value(given));
  REQUIRE(found);
  CHECK(found->as_text().data() == kOrders[1].as_text().data());
  CHECK_FALSE(find_in_domain(decl, Value("COLUMN")));
  CHECK(domain_size(decl) == 2);
}

TEST_CASE("text of the command line is read as the declared type") {
  table::ConstantDecl flag;
  flag.type = table::Type::kBool;
  CHECK(parse_value(flag, "true") == Value(true));
  CHECK(parse_value(flag, "0") == Value(false));
  CHECK_FALSE(parse_value(flag, "yes"));
  const auto size = ranged(0, 8, 1);
  CHECK(parse_value(size, "12") == Value(12));  // the domain is another question
  for (const char* bad : {"", "12 ", " 12", "0x10", "1e3", "99999999999999999999", "+1"}) {
    CHECK_FALSE(parse_value(size, bad));
  }
  CHECK_FALSE(parse_value(listed(table::Type::kDType, kTypes), "double"));
  CHECK(parse_value(listed(table::Type::kEnum, kOrders), "row") == Value("row"));
}

}  // namespace
}  // namespace jit
