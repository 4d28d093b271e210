// Memory that fp8_attention refuses: strides, addresses, what overlaps.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/fp8_attention_refusal.hpp"

namespace jit {
namespace {

using testing::somewhere;
using Refusals = testing::Fp8Refusals;
using Args = Refusals::Args;
using Change = Refusals::Change;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

TEST_CASE("strides that fp8_attention does not take are refused by name") {
  const std::string dense = ": give 0 for no gaps";
  const auto is = [&](const Change& change, const std::string& what) {
    CHECK(Refusals::said(change) == "launch fp8_attention: " + what + dense);
  };
  is([](auto& a) { a.q_token_stride = 1000; },
     "q_token_stride is 1000; expected a multiple of 16 from 128 to 2^36 - 16, and offsets below "
     "2^56 for 1000 tokens");
  is([](auto& a) { a.q_head_stride = std::int64_t{1} << 36; },
     "q_head_stride is 68719476736; expected a multiple of 16 from 128 to 2^36 - 16, and offsets "
     "below 2^56 for 16 heads");
  is([](auto& a) { a.k_head_stride = 112; },
     "k_head_stride is 112; expected a multiple of 16 from 128 to 2^39 - 16, and offsets below "
     "2^56 for 2 heads");
  is([](auto& a) { a.v_token_stride = std::int64_t{1} << 39; },
     "v_token_stride is 549755813888; expected a multiple of 16 from 128 to 2^39 - 16, and offsets "
     "below 2^56 for 2000 tokens");
  is([](auto& a) { a.output_head_stride = 132; },
     "output_head_stride is 132; expected a multiple of 8 from 128 to 2^39 - 8, and offsets below "
     "2^56 for 16 heads");
  is(
      [](auto& a) {
        a.output_head_stride = 136;
        a.output_scale = somewhere<float>(0xA'0000'0000);
      },
      "output_head_stride is 136; expected a multiple of 16 from 128 to 2^39 - 16, and offsets "
      "below 2^56 for 16 heads");
  CHECK(Refusals::said([](auto& a) { a.output_token_stride = 2040; }) ==
        "launch fp8_attention: output_token_stride is 2040 and output_head_stride 128: with 1000 "
        "tokens of 16 heads rows overlap; give 0 and 0 for no gaps");
}

TEST_CASE("descales that fp8_attention does not take are refused by name") {
  const auto given = [](Args& a) -> kernels::Fp8Descale& {
    a.k_descale = {somewhere<float>(0xB'0000'0000), 2, 1};
    return a.k_descale;
  };
  CHECK(Refusals::said([&](auto& a) { given(a); }) == "no driver");
  CHECK(Refusals::said([&](auto& a) { given(a).sequence_stride = given(a).head_stride = 0; }) ==
        "no driver");
  Refusals::check({
      {[&](auto& a) { given(a).sequence_stride = -2; },
       "k_descale.sequence_stride is -2; expected 0 or more, and offsets below 2^56 for 3 "
       "sequences: give 0 for one factor for all"},
      {[&](auto& a) { given(a).head_stride = kHuge; },
       "k_descale.head_stride is 9223372036854775807; expected 0 or more, and offsets below 2^56 "
       "for 2 heads: give 0 for one factor for all"},
      {[&](auto& a) { given(a).data = somewhere<float>(0xB'0000'0002); },
       "k_descale is at 0xb00000002; expected an address that 4 divides"},
      {[&](auto& a) { a.q_descale = {somewhere<float>(0xB'0000'0001)}; },
       "q_descale is at 0xb00000001; expected an address that 4 divides"},
      {[&](auto& a) {
         a.v_descale = {somewhere<float>(0xB'0000'0000), 0, -1};
       },
       "v_descale.head_stride is -1; expected 0 or more, and offsets below 2^56 for 2 heads: give "
       "0 for one factor for all"},
  });
}

TEST_CASE("pointers of fp8_attention that are null or unaligned are refused by name") {
  Refusals::check({
      {[](auto& a) { a.q = nullptr; }, "q is null; give device memory"},
      {[](auto& a) { a.k = nullptr; }, "k is null; give device memory"},
      {[](auto& a) { a.v = nullptr; }, "v is null; give device memory"},
      {[](auto& a) { a.output = nullptr; }, "output is null; give device memory"},
      {[](auto& a) { a.cu_seqlens_q = nullptr; }, "cu_seqlens_q is null; give device memory"},
      {[](auto& a) { a.q = somewhere(0x1008); },
       "q is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.k = somewhere(0x1008); },
       "k is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.v = somewhere(0x1008); },
       "v is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.output = somewhere(0x1008); },
       "output is at 0x1008; expected an address that 16 divides"},
      {[](auto& a) { a.cu_seqlens_q = somewhere<std::int32_t>(0x1002); },
       "cu_seqlens_q is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.cu_seqlens_k = somewhere<std::int32_t>(0x1002); },
       "cu_seqlens_k is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.seqused_q = somewhere<std::int32_t>(0x1002); },
       "seqused_q is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.seqused_k = somewhere<std::int32_t>(0x1002); },
       "seqused_k is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.sinks = somewhere(0x1001); },
       "sinks is at 0x1001; expected an address that 2 divides"},
      {[](auto& a) { a.lse = somewhere<float>(0x1002); },
       "lse is at 0x1002; expected an address that 4 divides"},
      {[](auto& a) { a.output_scale = somewhere<float>(0x1002); },
       "output_scale is at 0x1002; expected an address that 4 divides"},
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

// Everything that is read, and what would be written at `address`.
Args crowded(bool paged) {
  Args args = paged ? testing::paged_fp8_args() : testing::fp8_args();
  args.seqused_q = somewhere<std::int32_t>(0xA'0000'0000);
  args.seqused_k = somewhere<std::int32_t>(0x8'0000'0000);
  args.q_descale = {somewhere<float>(0xB'0000'0000), 2, 1};
  args.k_descale = {somewhere<float>(0xC'0000'0000), 5, 2};
  args.v_descale = {somewhere<float>(0xD'0000'0000), 0, 0};
  args.sinks = somewhere(0xE'0000'0000);
  return args;
}

using Put = std::function<void(Args&, std::uintptr_t)>;

void check_overlap(const Args& args, const Operand& operand, std::uintptr_t bytes, const Put& put) {
  const std::string with =
      std::string("overlaps ") + operand.name + " (" + std::to_string(operand.bytes) + " bytes at ";
  const auto at = [&](std::uintptr_t address) {
    return Refusals::said_of(args, [&](auto& a) { put(a, address); });
  };
  CAPTURE(operand.name);
  const std::uintptr_t step = 256;
  CHECK(at(operand.first - (bytes - 1) / step * step).find(with) != std::string::npos);
  CHECK(at(operand.first + (operand.bytes - 1) / step * step).find(with) != std::string::npos);
  CHECK(at(operand.first - (bytes + step - 1) / step * step) == "no driver");
  CHECK(at(operand.first + (operand.bytes + step - 1) / step * step) == "no driver");
}

void check_overlaps(const Args& args, const Operand& operand) {
  check_overlap(args, operand, 1000 * 16 * 128 * 2,
                [](auto& a, std::uintptr_t at) { a.output = somewhere(at); });
  check_overlap(args, operand, 1000 * 16 * 4,
                [](auto& a, std::uintptr_t at) { a.lse = somewhere<float>(at); });
  check_overlap(args, operand, 8,
                [](auto& a, std::uintptr_t at) { a.work_counters = somewhere<std::uint32_t>(at); });
  check_overlap(args, operand, 4096, [](auto& a, std::uintptr_t at) {
    a.workspace = somewhere(at);
    a.workspace_bytes = 4096;
  });
}

TEST_CASE("what fp8_attention writes shares no byte with what it reads") {
  const std::vector<Operand> common{
      {"q", 0x1'0000'0000, 1000 * 16 * 128}, {"cu_seqlens_q", 0x4'0000'0000, 16},
      {"seqused_k", 0x8'0000'0000, 12},      {"seqused_q", 0xA'0000'0000, 12},
      {"q_descale", 0xB'0000'0000, 24},      {"k_descale", 0xC'0000'0000, 52},
      {"v_descale", 0xD'0000'0000, 4},       {"sinks", 0xE'0000'0000, 32}};
  for (const Operand& operand : common) check_overlaps(crowded(false), operand);
  for (const Operand& operand :
       {Operand{"k", 0x2'0000'0000, 2000 * 2 * 128}, Operand{"v", 0x3'0000'0000, 2000 * 2 * 128},
        Operand{"cu_seqlens_k", 0x5'0000'0000, 16}}) {
    check_overlaps(crowded(false), operand);
  }
  for (const Operand& operand : {Operand{"k", 0x2'0000'0000, 500 * 16 * 2 * 128},
                                 Operand{"v", 0x3'0000'0000, 500 * 16 * 2 * 128},
                                 Operand{"page_table", 0x9'0000'0000, 3 * 40 * 4}}) {
    check_overlaps(crowded(true), operand);
  }
  Args codes = crowded(false);
  codes.output_scale = somewhere<float>(0xF'0000'0000);
  check_overlap(codes, {"output_scale", 0xF'0000'0000, 4}, 1000 * 16 * 128,
                [](auto& a, std::uintptr_t at) { a.output = somewhere(at); });
}

TEST_CASE("what fp8_attention writes shares no byte with what else it writes") {
  const Operand output{"output", 0x6'0000'0000, 1000 * 16 * 128 * 2};
  const Operand lse{"lse", 0x7'0000'0000, 1000 * 16 * 4};
  check_overlap(crowded(false), output, 1000 * 16 * 4,
                [](auto& a, std::uintptr_t at) { a.lse = somewhere<float>(at); });
  for (const Operand& operand : {output, lse}) {
    check_overlap(crowded(false), operand, 8, [](auto& a, std::uintptr_t at) {
      a.work_counters = somewhere<std::uint32_t>(at);
    });
    check_overlap(crowded(false), operand, 4096, [](auto& a, std::uintptr_t at) {
      a.workspace = somewhere(at);
      a.workspace_bytes = 4096;
    });
  }
}

}  // namespace
}  // namespace jit
