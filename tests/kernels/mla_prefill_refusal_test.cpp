// What mla_prefill refuses, in which words, before it asks for a driver or a kernel.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/mla_prefill_args.hpp"

namespace jit {
namespace {

using testing::somewhere;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

using Change = std::function<void(kernels::MlaPrefillArgs&)>;

std::string said(const Change& change) {
  auto args = testing::mla_args();
  change(args);
  return testing::refusal_without_driver(
      [&](Runtime& runtime) { kernels::mla_prefill(runtime, args, nullptr); });
}

struct Row {
  Change change;
  const char* says;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CHECK(said(row.change) == std::string("launch mla_prefill: ") + row.says);
  }
}

TEST_CASE("good operands of mla_prefill get as far as the driver") {
  CHECK(said([](auto&) {}) == "no driver");
  CHECK(said([](auto& a) { a.head_dim = 128; }) == "no driver");
  CHECK(said([](auto& a) { a.head_dim = a.head_dim_v = 64; }) == "no driver");
  CHECK(said([](auto& a) { a.num_kv_heads = 1; }) == "no driver");
  CHECK(said([](auto& a) { a.softmax_scale = 1e-10F; }) == "no driver");
  CHECK(said([](auto& a) { a.lse = nullptr; }) == "no driver");
  CHECK(said([](auto& a) { a.cu_seqlens_k = nullptr; }) == "no driver");
}

TEST_CASE("counts that mla_prefill does not take are refused by name") {
  check({
      {[](auto& a) { a.num_sequences = -1; }, "num_sequences is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.num_query_tokens = -1; },
       "num_query_tokens is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.num_key_tokens = kHuge; },
       "num_key_tokens is 9223372036854775807; expected 0 to 1073741824"},
      {[](auto& a) { a.num_heads = kHuge; },
       "num_heads is 9223372036854775807; expected 0 to 32767"},
      {[](auto& a) { a.num_kv_heads = -16; }, "num_kv_heads is -16; expected 0 to 32767"},
      {[](auto& a) { a.num_kv_heads = 3; },
       "num_heads is 16; expected a multiple of num_kv_heads (3)"},
      {[](auto& a) { a.num_workers = -1; }, "num_workers is -1; expected 0 to 1048576"},
      {[](auto& a) { a.num_query_tokens = 1 << 27; },
       "num_query_tokens * num_heads is 134217728 * 16; expected less than 2^31: split the heads "
       "over several launches"},
      {[](auto& a) { a.num_sequences = 1 << 26; },
       "num_sequences * num_heads is 67108864 * 16; expected less than 2^30: split the heads over "
       "several launches"},
  });
  CHECK(said([](auto& a) { a.num_query_tokens = (1 << 27) - 1; }).find("overlaps") !=
        std::string::npos);
  CHECK(said([](auto& a) {
          a.num_query_tokens = (1 << 27) - 1;
          a.q = somewhere(0x1000'0000'0000);
          a.output = somewhere(0x2000'0000'0000);
          a.lse = nullptr;
        }) == "no driver");
}

TEST_CASE("dimensions, types and scales that mla_prefill does not take are refused by name") {
  const char* const dims =
      "head_dim is 192 and head_dim_v 64; expected 192 and 128, 128 and 128, or 64 and 64";
  check({
      {[](auto& a) { a.head_dim_v = 64; }, dims},
      {[](auto& a) { a.head_dim = a.head_dim_v = 192; },
       "head_dim is 192 and head_dim_v 192; expected 192 and 128, 128 and 128, or 64 and 64"},
      {[](auto& a) { a.head_dim = a.head_dim_v = 96; },
       "head_dim is 96 and head_dim_v 96; expected 192 and 128, 128 and 128, or 64 and 64"},
      {[](auto& a) { a.head_dim = 64; },
       "head_dim is 64 and head_dim_v 128; expected 192 and 128, 128 and 128, or 64 and 64"},
      {[](auto& a) {
         a.head_dim = a.head_dim_v = 64;
         a.k_rope = somewhere(0x9'0000'0000);
       },
       "k_rope is given for head_dim 64; expected 128 or 192: give whole keys"},
      {[](auto& a) { a.softmax_scale = -1; },
       "softmax_scale is -1; expected 2^-64 to 2^64, or 0 for head_dim^-0.5"},
      {[](auto& a) { a.softmax_scale = std::numeric_limits<float>::quiet_NaN(); },
       "softmax_scale is nan; expected 2^-64 to 2^64, or 0 for head_dim^-0.5"},
      {[](auto& a) { a.softmax_scale = std::numeric_limits<float>::infinity(); },
       "softmax_scale is inf; expected 2^-64 to 2^64, or 0 for head_dim^-0.5"},
      {[](auto& a) { a.output_type = e4m3; },
       "output_type is e4m3; expected f32, f16 or bf16: FP8 output is asked for by output_scale "
       "or output_group_size"},
  });
}

TEST_CASE("FP8 scales that mla_prefill does not take are refused as merge_attn_states does") {
  const auto grouped = [](auto& a) {
    a.output_group_scales = somewhere<float>(0xA'0000'0000);
    a.output_group_size = 128;
  };
  CHECK(said(grouped) == "no driver");
  CHECK(said([](auto& a) { a.output_scale = somewhere<float>(0xA'0000'0000); }) == "no driver");
  check({
      {[&](auto& a) {
         grouped(a);
         a.output_scale = somewhere<float>(0xB'0000'0000);
       },
       "output_scale and scales of groups are both given; give output_scale for one scale per "
       "tensor, or output_group_size and output_group_scales for one per group"},
      {[](auto& a) { a.use_ue8m0_scales = true; },
       "output_group_size is 0 beside output_group_scales, their strides or use_ue8m0_scales; give "
       "64 or 128, or none of them"},
      {[&](auto& a) {
         grouped(a);
         a.output_group_size = 32;
       },
       "output_group_size is 32; expected 64 or 128"},
      {[&](auto& a) {
         grouped(a);
         a.head_dim = a.head_dim_v = 64;
       },
       "head_dim_v is 64; expected a multiple of output_group_size (128)"},
      {[&](auto& a) {
         grouped(a);
         a.output_scale_token_stride = 1;
         a.output_scale_group_stride = 999;
       },
       "output_scale_token_stride is 1 and output_scale_group_stride 999: with 1000 tokens of 16 "
       "scales two scales share a place; give 0 and 0 for row-major, or 1 and at least num_tokens "
       "for column-major"},
      {[](auto& a) { a.output_group_size = 128; },
       "output_group_scales is null; give device memory"},
      {[](auto& a) { a.output_scale = somewhere<float>(0xA'0000'0002); },
       "output_scale is at 0xa00000002; expected an address that 4 divides"},
  });
}

TEST_CASE("strides that mla_prefill does not take are refused by name") {
  const std::string dense = ": give 0 for no gaps";
  const auto is = [&](const Change& change, const std::string& what) {
    CHECK(said(change) == "launch mla_prefill: " + what + dense);
  };
  is([](auto& a) { a.q_token_stride = 1234; },
     "q_token_stride is 1234; expected a multiple of 8 from 192 to 2^39 - 8, and offsets below "
     "2^56 for 1000 tokens");
  is([](auto& a) { a.k_head_stride = 184; },
     "k_head_stride is 184; expected a multiple of 8 from 192 to 2^39 - 8, and offsets below 2^56 "
     "for 16 heads");
  is([](auto& a) { a.v_head_stride = -128; },
     "v_head_stride is -128; expected a multiple of 8 from 128 to 2^39 - 8, and offsets below 2^56 "
     "for 16 heads");
  is([](auto& a) { a.v_head_stride = std::int64_t{1} << 36; },
     "v_token_stride is 549755813888; expected a multiple of 8 from 128 to 2^39 - 8, and offsets "
     "below 2^56 for 2000 tokens");
  is(
      [](auto& a) {
        a.v_token_stride = 4096;
        a.v_head_stride = kLeast;
      },
      "v_head_stride is -9223372036854775808; expected a multiple of 8 from 128 to 2^39 - 8, and "
      "offsets below 2^56 for 16 heads");
  is(
      [](auto& a) {
        a.k_rope = somewhere(0x9'0000'0000);
        a.k_rope_token_stride = 32;
      },
      "k_rope_token_stride is 32; expected a multiple of 8 from 64 to 2^39 - 8, and offsets below "
      "2^56 for 2000 tokens");
  is([](auto& a) { a.k_token_stride = std::int64_t{1} << 39; },
     "k_token_stride is 549755813888; expected a multiple of 8 from 192 to 2^39 - 8, and offsets "
     "below 2^56 for 2000 tokens");
  is(
      [](auto& a) {
        a.num_key_tokens = 1 << 22;
        a.k_token_stride = std::int64_t{1} << 38;
      },
      "k_token_stride is 274877906944; expected a multiple of 8 from 192 to 2^39 - 8, and offsets "
      "below 2^56 for 4194304 tokens");
  is(
      [](auto& a) {
        a.output_head_stride = 136;
        a.output_scale = somewhere<float>(0xA'0000'0000);
      },
      "output_head_stride is 136; expected a multiple of 16 from 128 to 2^39 - 16, and offsets "
      "below 2^56 for 16 heads");
  is(
      [](auto& a) {
        a.output_type = f32;
        a.output_head_stride = 130;
      },
      "output_head_stride is 130; expected a multiple of 4 from 128 to 2^39 - 4, and offsets below "
      "2^56 for 16 heads");
  // Where there is one, strides lead nowhere, and none is too long for it.
  CHECK(said([](auto& a) { a.v_head_stride = 256; }) == "no driver");
}

TEST_CASE("an output of mla_prefill whose rows overlap is refused") {
  const auto strides = [](std::int64_t token, std::int64_t head) {
    return said([&](auto& a) {
      a.lse = nullptr;
      a.output = somewhere(0x1000'0000'0000);
      a.output_token_stride = token;
      a.output_head_stride = head;
    });
  };
  CHECK(strides(2040, 128) ==
        "launch mla_prefill: output_token_stride is 2040 and output_head_stride 128: with 1000 "
        "tokens of 16 heads rows overlap; give 0 and 0 for no gaps");
  CHECK(strides(2048, 128) == "no driver");
  CHECK(strides(2048, 136).find("rows overlap") != std::string::npos);
  CHECK(strides(2168, 136) == "no driver");
  CHECK(strides(128, 127'992).find("rows overlap") != std::string::npos);
  CHECK(strides(128, 128'000) == "no driver");
  CHECK(strides(128, 128).find("rows overlap") != std::string::npos);
}

TEST_CASE("pointers of mla_prefill that are null or unaligned are refused by name") {
  check({
      {[](auto& a) { a.q = nullptr; }, "q is null; give device memory"},
      {[](auto& a) { a.k = nullptr; }, "k is null; give device memory"},
      {[](auto& a) { a.v = nullptr; }, "v is null; give device memory"},
      {[](auto& a) { a.output = nullptr; }, "output is null; give device memory"},
      {[](auto& a) { a.cu_seqlens_q = nullptr; }, "cu_seqlens_q is null; give device memory"},
      {[](auto& a) { a.q = somewhere(0x1008); },
       "q is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.k = somewhere(0x1004); },
       "k is at 0x1004; expected an address that 16 divides"},
      {[](auto& a) { a.v = somewhere(0x1002); },
       "v is at 0x1002; expected an address that 16 divides"},
      {[](auto& a) { a.k_rope = somewhere(0x1008); },
       "k_rope is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.output = somewhere(0x1008); },
       "output is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.cu_seqlens_q = somewhere<std::int32_t>(0x1002); },
       "cu_seqlens_q is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.cu_seqlens_k = somewhere<std::int32_t>(0x1002); },
       "cu_seqlens_k is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.lse = somewhere<float>(0x1002); },
       "lse is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.work_counters = somewhere<std::uint32_t>(0x1002); },
       "work_counters is at 0x1002; expected an address that 4 divides"},
  });
}

// ---- Overlaps ----

struct Operand {
  const char* name;
  std::uintptr_t first;
  std::uintptr_t bytes;
};

void check_overlaps(const Operand& operand, std::uintptr_t bytes,
                    const std::function<void(kernels::MlaPrefillArgs&, std::uintptr_t)>& put) {
  const std::string with =
      std::string("overlaps ") + operand.name + " (" + std::to_string(operand.bytes) + " bytes at ";
  const auto at = [&](std::uintptr_t address) {
    return said([&](auto& a) {
      a.k_rope = somewhere(0x9'0000'0000);
      put(a, address);
    });
  };
  CAPTURE(operand.name);
  CHECK(at(operand.first - bytes + 16).find(with) != std::string::npos);
  CHECK(at(operand.first + operand.bytes - 4 - (operand.bytes - 4) % 16).find(with) !=
        std::string::npos);
  CHECK(at(operand.first - bytes) == "no driver");
  CHECK(at(operand.first + (operand.bytes + 15) / 16 * 16) == "no driver");
}

TEST_CASE("what mla_prefill writes shares no byte with what it reads") {
  const std::vector<Operand> read{
      {"q", 0x1'0000'0000, 1000 * 16 * 192 * 2}, {"k", 0x2'0000'0000, 2000 * 16 * 128 * 2},
      {"v", 0x3'0000'0000, 2000 * 16 * 128 * 2}, {"cu_seqlens_q", 0x4'0000'0000, 16},
      {"cu_seqlens_k", 0x5'0000'0000, 16},       {"k_rope", 0x9'0000'0000, 2000 * 64 * 2}};
  for (const Operand& operand : read) {
    check_overlaps(operand, 1000 * 16 * 128 * 2,
                   [](auto& a, std::uintptr_t at) { a.output = somewhere(at); });
    check_overlaps(operand, 1000 * 16 * 4,
                   [](auto& a, std::uintptr_t at) { a.lse = somewhere<float>(at); });
    check_overlaps(operand, 8, [](auto& a, std::uintptr_t at) {
      a.work_counters = somewhere<std::uint32_t>(at);
    });
    check_overlaps(operand, 1000 * 16 * 2 * 4, [](auto& a, std::uintptr_t at) {
      a.output_group_size = 64;
      a.output_group_scales = somewhere<float>(at);
    });
  }
}

TEST_CASE("what mla_prefill writes shares no byte with what else it writes") {
  const Operand output{"output", 0x6'0000'0000, 1000 * 16 * 128 * 2};
  check_overlaps(output, 1000 * 16 * 4,
                 [](auto& a, std::uintptr_t at) { a.lse = somewhere<float>(at); });
  const Operand codes{"output", 0x6'0000'0000, 1000 * 16 * 128};
  check_overlaps(codes, 1000 * 16 * 4, [](auto& a, std::uintptr_t at) {
    a.output_group_size = 128;
    a.output_group_scales = somewhere<float>(at);
  });
  const Operand lse{"lse", 0x7'0000'0000, 1000 * 16 * 4};
  check_overlaps(
      lse, 8, [](auto& a, std::uintptr_t at) { a.work_counters = somewhere<std::uint32_t>(at); });
}

TEST_CASE("keys and values of mla_prefill may lie in one another") {
  CHECK(said([](auto& a) {
          a.head_dim = 192;
          a.k_rope = somewhere(0x9'0000'0000);
          a.k = somewhere(0x2'0000'0000);
          a.v = somewhere(0x2'0000'0100);
          a.k_head_stride = a.v_head_stride = 256;
        }) == "no driver");
}

TEST_CASE("without tokens, heads or sequences mla_prefill asks for nothing") {
  const auto no_memory = [](auto& a) { a.q = a.k = a.v = a.output = nullptr; };
  for (const Change& change :
       {Change([](auto& a) { a.num_query_tokens = 0; }), Change([](auto& a) { a.num_heads = 0; }),
        Change([](auto& a) { a.num_sequences = 0; })}) {
    CHECK(said([&](auto& a) {
            change(a);
            no_memory(a);
          }) == "nothing");
  }
  CHECK(said([](auto& a) {
          a.num_query_tokens = 0;
          a.head_dim = 100;
        }).find("head_dim is 100") != std::string::npos);
}

TEST_CASE("without keys mla_prefill asks for none") {
  CHECK(said([](auto& a) {
          a.num_key_tokens = 0;
          a.k = a.v = nullptr;
        }) == "no driver");
}

}  // namespace
}  // namespace jit
