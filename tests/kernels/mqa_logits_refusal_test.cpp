// What mqa_logits refuses, in which words, before it asks for a driver or a kernel.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <limits>
#include <vector>

#include "jit/kernels/mqa_logits.hpp"
#include "kernels/front_end_fixture.hpp"

namespace jit {
namespace {

using testing::somewhere;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

// 10 tokens of 32 heads, 1000 keys.
kernels::MqaLogitsArgs good() {
  kernels::MqaLogitsArgs args;
  args.num_tokens = 10;
  args.num_keys = 1000;
  args.num_heads = 32;
  args.query = somewhere(0x1'1000'0000);
  args.keys = somewhere(0x1'2000'0000);
  args.key_scales = somewhere<float>(0x1'3000'0000);
  args.weights = somewhere<float>(0x1'4000'0000);
  args.starts = somewhere<std::int32_t>(0x1'5000'0000);
  args.ends = somewhere<std::int32_t>(0x1'6000'0000);
  args.logits = somewhere(0x1'7000'0000);
  return args;
}

using Change = std::function<void(kernels::MqaLogitsArgs&)>;

std::string said(const Change& change) {
  auto args = good();
  change(args);
  return testing::refusal_without_driver(
      [&](Runtime& runtime) { kernels::mqa_logits(runtime, args, nullptr); });
}

struct Row {
  Change change;
  const char* says;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CHECK(said(row.change) == std::string("launch mqa_logits: ") + row.says);
  }
}

TEST_CASE("good operands of mqa_logits get as far as the driver") {
  CHECK(said([](auto&) {}) == "no driver");
}

TEST_CASE("shapes and strides that mqa_logits does not take are refused by name") {
  check({
      {[](auto& a) { a.num_heads = 0; }, "num_heads is 0; expected 16, 32 or 64"},
      {[](auto& a) { a.head_dim = 96; }, "head_dim is 96; expected 32, 64 or 128"},
      {[](auto& a) { a.logits_type = e4m3; }, "logits_type is e4m3; expected f32 or bf16"},
      {[](auto& a) { a.num_tokens = -1; }, "num_tokens is -1; expected 0 to 2147483647"},
      {[](auto& a) { a.num_keys = kHuge; },
       "num_keys is 9223372036854775807; expected 0 to 1073741824"},
      {[](auto& a) { a.logits_width = -5; }, "logits_width is -5; expected 0 to 1073741824"},
      {[](auto& a) { a.num_workers = 1 << 21; }, "num_workers is 2097152; expected 0 to 1048576"},
      {[](auto& a) { a.num_tokens = 67'108'864; },
       "num_tokens * num_heads is 67108864 * 32; expected less than 2^31: split the tokens over "
       "several launches"},
      {[](auto& a) {
         a.num_tokens = 1 << 20;
         a.num_keys = 1 << 19;
       },
       "num_tokens * ceil(num_keys / 64) is 1048576 * 8192; expected less than 2^31: split the "
       "tokens over several launches"},
      {[](auto& a) { a.logits_stride = 999; },
       "logits_stride is 999; expected logits_width (1000) or more, and offsets below 2^57 for 10 "
       "rows: give 0 for rows without padding"},
      {[](auto& a) {
         a.logits_width = 300;
         a.logits_stride = 299;
       },
       "logits_stride is 299; expected logits_width (300) or more, and offsets below 2^57 for 10 "
       "rows: give 0 for rows without padding"},
  });
}

TEST_CASE("pointers of mqa_logits that are null or unaligned are refused by name") {
  check({
      {[](auto& a) { a.query = nullptr; }, "query is null; give device memory"},
      {[](auto& a) { a.keys = nullptr; }, "keys is null; give device memory"},
      {[](auto& a) { a.key_scales = nullptr; }, "key_scales is null; give device memory"},
      {[](auto& a) { a.weights = nullptr; }, "weights is null; give device memory"},
      {[](auto& a) { a.starts = nullptr; }, "starts is null; give device memory"},
      {[](auto& a) { a.ends = nullptr; }, "ends is null; give device memory"},
      {[](auto& a) { a.logits = nullptr; }, "logits is null; give device memory"},
      {[](auto& a) { a.keys = somewhere(0x1008); },
       "keys is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.key_scales = somewhere<float>(0x1008); },
       "key_scales is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.ends = somewhere<std::int32_t>(0x1002); },
       "ends is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.logits = somewhere(0x1002); },
       "logits is at 0x1002; expected an address that 4 divides"},
  });
}

TEST_CASE("scores that share a byte with what is read are refused by both names") {
  struct Operand {
    const char* name;
    std::uintptr_t first;
    std::uintptr_t bytes;
  };
  constexpr std::uintptr_t kLogits = 10 * 1000 * 4;
  for (const Operand& operand :
       {Operand{"query", 0x1'1000'0000, 10 * 32 * 128}, Operand{"keys", 0x1'2000'0000, 1000 * 128},
        Operand{"key_scales", 0x1'3000'0000, 1000 * 4},
        Operand{"weights", 0x1'4000'0000, 10 * 32 * 4}, Operand{"starts", 0x1'5000'0000, 40},
        Operand{"ends", 0x1'6000'0000, 40}}) {
    const std::string with = std::string("overlaps ") + operand.name + " (" +
                             std::to_string(operand.bytes) + " bytes at ";
    const auto at = [](std::uintptr_t address) {
      return said([address](auto& a) { a.logits = somewhere(address); });
    };
    CAPTURE(operand.name);
    CHECK(at(operand.first - kLogits + 4).find(with) != std::string::npos);
    CHECK(at(operand.first + operand.bytes - 4).find(with) != std::string::npos);
    CHECK(at(operand.first - kLogits) == "no driver");
    CHECK(at(operand.first + operand.bytes) == "no driver");
  }
}

TEST_CASE("without tokens or columns mqa_logits asks for nothing, without keys only to clean") {
  CHECK(said([](auto& a) { a.num_tokens = 0; }) == "nothing");
  CHECK(said([](auto& a) { a.num_keys = 0; }) == "nothing");
  const Change no_keys = [](auto& a) {
    a.num_keys = 0;
    a.logits_width = 100;
    a.keys = a.key_scales = nullptr;
  };
  CHECK(said(no_keys) == "nothing");
  CHECK(said([&](auto& a) {
          no_keys(a);
          a.clean_logits = true;
        }) == "no driver");
}

}  // namespace
}  // namespace jit
