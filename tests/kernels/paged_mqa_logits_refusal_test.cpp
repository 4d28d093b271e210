// What paged_mqa_logits refuses, in which words, before it asks for a driver or a kernel.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <limits>
#include <vector>

#include "jit/kernels/paged_mqa_logits.hpp"
#include "kernels/front_end_fixture.hpp"

namespace jit {
namespace {

using testing::somewhere;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

// 4 requests of 3 tokens, 64 heads, 100 blocks: each operand 256 MiB from the next.
kernels::PagedMqaLogitsArgs good() {
  kernels::PagedMqaLogitsArgs args;
  args.batch = 4;
  args.next_n = 3;
  args.num_heads = 64;
  args.num_blocks = 100;
  args.max_context_len = 1000;
  args.query = somewhere(0x1'1000'0000);
  args.kv_cache = somewhere(0x1'2000'0000);
  args.weights = somewhere<float>(0x1'3000'0000);
  args.context_lens = somewhere<std::int32_t>(0x1'4000'0000);
  args.block_table = somewhere<std::int32_t>(0x1'5000'0000);
  args.logits = somewhere(0x1'6000'0000);
  args.schedule = somewhere<std::int32_t>(0x1'7000'0000);
  args.num_workers = 132;
  return args;
}

using Change = std::function<void(kernels::PagedMqaLogitsArgs&)>;

std::string said(const Change& change) {
  auto args = good();
  change(args);
  return testing::refusal_without_driver(
      [&](Runtime& runtime) { kernels::paged_mqa_logits(runtime, args, nullptr); });
}

struct Row {
  Change change;
  const char* says;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CHECK(said(row.change) == std::string("launch paged_mqa_logits: ") + row.says);
  }
}

TEST_CASE("good operands of paged_mqa_logits get as far as the driver") {
  CHECK(said([](auto&) {}) == "no driver");
}

TEST_CASE("shapes that paged_mqa_logits has no kernel for are refused by name") {
  check({
      {[](auto& a) { a.next_n = 0; },
       "next_n is 0; expected 1 to 6: give further tokens as another request with the same "
       "blocks"},
      {[](auto& a) { a.next_n = 7; },
       "next_n is 7; expected 1 to 6: give further tokens as another request with the same "
       "blocks"},
      {[](auto& a) { a.num_heads = 8; }, "num_heads is 8; expected 16, 32 or 64"},
      {[](auto& a) { a.num_heads = 128; }, "num_heads is 128; expected 16, 32 or 64"},
      {[](auto& a) { a.head_dim = 256; }, "head_dim is 256; expected 32, 64 or 128"},
      {[](auto& a) { a.block_kv = 16; }, "block_kv is 16; expected 32 or 64"},
      {[](auto& a) { a.logits_type = f16; }, "logits_type is f16; expected f32 or bf16"},
      {[](auto& a) { a.batch = -1; }, "batch is -1; expected 0 to 2147483647"},
      {[](auto& a) { a.max_context_len = kHuge; },
       "max_context_len is 9223372036854775807; expected 0 to 1073741824"},
      {[](auto& a) { a.num_workers = -132; }, "num_workers is -132; expected 0 to 1048576"},
      {[](auto& a) { a.batch = 11'184'811; },
       "batch * next_n * num_heads is 11184811 * 3 * 64; expected less than 2^31: split the batch "
       "over several launches"},
      {[](auto& a) {
         a.batch = 512;
         a.max_context_len = 1 << 30;
       },
       "batch * ceil(max_context_len / 64) is 512 * 16777216; expected less than 2^31: give the "
       "longest context there can be, or split the batch over several launches"},
  });
}

TEST_CASE("strides and sizes of paged_mqa_logits that cannot be right are refused by name") {
  check({
      {[](auto& a) { a.num_blocks = 0; }, "num_blocks is 0; expected 1 to 2147483647"},
      {[](auto& a) { a.block_stride = 8432; },
       "block_stride is 8432; expected a multiple of 16 from block_kv * (head_dim + 4) (8448) to "
       "2^40 - 16: give 0 for blocks without padding"},
      {[](auto& a) { a.block_stride = 8456; },
       "block_stride is 8456; expected a multiple of 16 from block_kv * (head_dim + 4) (8448) to "
       "2^40 - 16: give 0 for blocks without padding"},
      {[](auto& a) { a.block_stride = std::int64_t{1} << 40; },
       "block_stride is 1099511627776; expected a multiple of 16 from block_kv * (head_dim + 4) "
       "(8448) to 2^40 - 16: give 0 for blocks without padding"},
      {[](auto& a) {
         a.block_stride = std::int64_t{1} << 39;
         a.num_blocks = (std::int64_t{1} << 21) + 1;
       },
       "num_blocks * block_stride is 2097153 * 549755813888; expected at most 2^60 bytes"},
      {[](auto& a) { a.block_table_stride = -1; },
       "block_table_stride is -1; expected one entry (1) or more, and offsets below 2^57 for 4 "
       "rows: give 0 for rows without padding"},
      {[](auto& a) { a.block_table_stride = kHuge; },
       "block_table_stride is 9223372036854775807; expected one entry (1) or more, and offsets "
       "below 2^57 for 4 rows: give 0 for rows without padding"},
      {[](auto& a) { a.logits_stride = 999; },
       "logits_stride is 999; expected max_context_len (1000) or more, and offsets below 2^57 for "
       "12 rows: give 0 for rows without padding"},
      {[](auto& a) { a.logits_stride = kHuge; },
       "logits_stride is 9223372036854775807; expected max_context_len (1000) or more, and "
       "offsets below 2^57 for 12 rows: give 0 for rows without padding"},
  });
}

TEST_CASE("pointers of paged_mqa_logits that are null or unaligned are refused by name") {
  check({
      {[](auto& a) { a.query = nullptr; }, "query is null; give device memory"},
      {[](auto& a) { a.kv_cache = nullptr; }, "kv_cache is null; give device memory"},
      {[](auto& a) { a.weights = nullptr; }, "weights is null; give device memory"},
      {[](auto& a) { a.context_lens = nullptr; }, "context_lens is null; give device memory"},
      {[](auto& a) { a.block_table = nullptr; }, "block_table is null; give device memory"},
      {[](auto& a) { a.logits = nullptr; }, "logits is null; give device memory"},
      {[](auto& a) { a.query = somewhere(0x1008); },
       "query is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.kv_cache = somewhere(0x1004); },
       "kv_cache is at 0x1004; expected an address that 16 divides"},
      {[](auto& a) { a.weights = somewhere<float>(0x1004); },
       "weights is at 0x1004; expected an address that 16 divides"},
      {[](auto& a) { a.context_lens = somewhere<std::int32_t>(0x1002); },
       "context_lens is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.block_table = somewhere<std::int32_t>(0x1001); },
       "block_table is at 0x1001; expected an address that 4 divides"},
      {[](auto& a) { a.schedule = somewhere<std::int32_t>(0x1002); },
       "schedule is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.logits = somewhere(0x1002); },
       "logits is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) {
         a.logits_type = bf16;
         a.logits = somewhere(0x1001);
       },
       "logits is at 0x1001; expected an address that 2 divides"},
  });
  CHECK(said([](auto& a) {
          a.logits_type = bf16;
          a.logits = somewhere(0x1002);
          a.schedule = nullptr;
        }) == "no driver");
}

// The first and the last byte of every operand that is read.
TEST_CASE("logits that share a byte with what is read are refused by both names") {
  struct Operand {
    const char* name;
    std::uintptr_t first;
    std::uintptr_t bytes;
  };
  constexpr std::uintptr_t kLogits = 12 * 1000 * 4;
  for (const Operand& operand : {Operand{"query", 0x1'1000'0000, 12 * 64 * 128},
                                 Operand{"kv_cache", 0x1'2000'0000, 99 * 8448 + 8448},
                                 Operand{"weights", 0x1'3000'0000, 12 * 64 * 4},
                                 Operand{"context_lens", 0x1'4000'0000, 12 * 4},
                                 Operand{"block_table", 0x1'5000'0000, 4 * 16 * 4},
                                 Operand{"schedule", 0x1'7000'0000, 133 * 8}}) {
    const std::string with = std::string("overlaps ") + operand.name + " (" +
                             std::to_string(operand.bytes) + " bytes at ";
    const auto at = [](std::uintptr_t address) {
      // Without a driver: one more refusal says that this one did not come.
      return said([address](auto& a) {
        a.logits = somewhere(address);
        a.num_workers = 132;
      });
    };
    CAPTURE(operand.name);
    CHECK(at(operand.first - kLogits + 4).find(with) != std::string::npos);
    CHECK(at(operand.first + operand.bytes - 4).find(with) != std::string::npos);
    CHECK(at(operand.first - kLogits) == "no driver");
    CHECK(at(operand.first + operand.bytes) == "no driver");
  }
}

TEST_CASE("a padded row of logits reaches as far as its last element") {
  const auto at = [](std::uintptr_t address) {
    return said([address](auto& a) {
      a.logits_stride = 1024;
      a.logits = somewhere(address);
    });
  };
  constexpr std::uintptr_t kBytes = (11 * 1024 + 1000) * 4;
  CHECK(at(0x1'1000'0000 - kBytes) == "no driver");
  CHECK(at(0x1'1000'0000 - kBytes + 4) ==
        "launch paged_mqa_logits: logits (49056 bytes at 0x10fff4064) overlaps query (98304 bytes "
        "at 0x110000000); give it memory of its own");
}

TEST_CASE("without requests or positions paged_mqa_logits asks for nothing") {
  const auto nothing = [](std::int64_t batch, std::int64_t length) {
    return [=](kernels::PagedMqaLogitsArgs& args) {
      args = {};
      args.num_heads = 64;
      args.batch = batch;
      args.max_context_len = length;
    };
  };
  CHECK(said(nothing(0, 1000)) == "nothing");
  CHECK(said(nothing(4, 0)) == "nothing");
  CHECK(said(nothing(4, 1)) != "nothing");
}

}  // namespace
}  // namespace jit
