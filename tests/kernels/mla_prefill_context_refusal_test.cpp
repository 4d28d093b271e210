// What mla_prefill_with_context refuses, in which words, before anything is launched.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/mla_prefill_args.hpp"

namespace jit {
namespace {

using kernels::MlaContextChunk;
using testing::mla_args;
using testing::somewhere;

constexpr std::int64_t kPart = 1000 * 16 * (128 * 2 + 4);  // 256 divides both halves

// Two chunks, of 300 and 400 keys.
struct Call {
  kernels::MlaPrefillArgs args = mla_args();
  std::vector<MlaContextChunk> chunks;
  void* workspace = somewhere(0x100'0000'0000);
};

Call good() {
  Call call;
  for (std::uintptr_t i = 1; i <= 2; ++i) {
    MlaContextChunk chunk;
    chunk.num_key_tokens = static_cast<std::int64_t>(200 + 100 * i);
    chunk.k = somewhere(i * 0x10'0000'0000);
    chunk.v = somewhere(i * 0x10'0000'0000 + 0x1'0000'0000);
    chunk.cu_seqlens_k = somewhere<std::int32_t>(i * 0x10'0000'0000 + 0x2'0000'0000);
    call.chunks.push_back(chunk);
  }
  return call;
}

using Change = std::function<void(Call&)>;

std::string said(const Change& change) {
  Call call = good();
  change(call);
  return testing::refusal_without_driver([&](Runtime& runtime) {
    kernels::mla_prefill_with_context(runtime, call.args, call.chunks, call.workspace, nullptr);
  });
}

struct Row {
  Change change;
  const char* says;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CHECK(said(row.change) == std::string("launch mla_prefill_with_context: ") + row.says);
  }
}

TEST_CASE("good operands of a chain get as far as the driver") {
  CHECK(said([](auto&) {}) == "no driver");
  CHECK(said([](auto& c) { c.args.lse = nullptr; }) == "no driver");
  CHECK(said([](auto& c) { c.args.output_head_stride = 192; }) == "no driver");
  CHECK(said([](auto& c) {
          c.args.output_head_stride = 192;
          c.args.output_token_stride = 16 * 192;
        }) == "no driver");
}

TEST_CASE("what is wrong with a chunk is said with its index") {
  check({
      {[](auto& c) { c.chunks[0].k = nullptr; }, "chunks[0]: k is null; give device memory"},
      {[](auto& c) { c.chunks[1].v = nullptr; }, "chunks[1]: v is null; give device memory"},
      {[](auto& c) { c.chunks[1].cu_seqlens_k = nullptr; },
       "chunks[1]: cu_seqlens_k is null; give device memory"},
      {[](auto& c) { c.chunks[0].num_key_tokens = -1; },
       "chunks[0]: num_key_tokens is -1; expected 0 to 1073741824"},
      {[](auto& c) { c.chunks[1].k_rope = somewhere(0x1008); },
       "chunks[1]: k_rope is at 0x1008; expected an address that 16 divides"},
      {[](auto& c) { c.chunks[1].v_head_stride = 100; },
       "chunks[1]: v_head_stride is 100; expected a multiple of 8 from 128 to 2^39 - 8, and "
       "offsets below 2^56 for 16 heads: give 0 for no gaps"},
      {[](auto& c) {
         c.args.head_dim = c.args.head_dim_v = 64;
         c.chunks[1].k_rope = somewhere(0x9'0000'0000);
       },
       "chunks[1]: k_rope is given for head_dim 64; expected 128 or 192: give whole keys"},
  });
}

TEST_CASE("what is wrong with the new tokens of a chain is said as mla_prefill says it") {
  check({
      {[](auto& c) { c.args.q = nullptr; }, "q is null; give device memory"},
      {[](auto& c) { c.args.head_dim = 100; },
       "head_dim is 100 and head_dim_v 128; expected 192 and 128, 128 and 128, or 64 and 64"},
      {[](auto& c) { c.args.k_head_stride = 8; },
       "k_head_stride is 8; expected a multiple of 8 from 192 to 2^39 - 8, and offsets below 2^56 "
       "for 16 heads: give 0 for no gaps"},
      {[](auto& c) { c.args.output_scale = somewhere<float>(0x1002); },
       "output_scale is at 0x1002; expected an address that 4 divides"},
  });
}

TEST_CASE("an output that merge_attn_states could not write is refused by its own name") {
  check({
      {[](auto& c) { c.args.output_token_stride = 4096; },
       "output_token_stride is 4096; expected num_heads * output_head_stride (2048): give 0, and "
       "pad heads rather than tokens"},
      {[](auto& c) {
         c.args.output = somewhere(0x1000'0000'0000);
         c.args.output_head_stride = 128'000;
         c.args.output_token_stride = 128;
       },
       "output_token_stride is 128; expected num_heads * output_head_stride (2048000): give 0, and "
       "pad heads rather than tokens"},
      {[](auto& c) {
         c.args.output = somewhere(0x1'0000'0000'0000);
         c.args.output_head_stride = std::int64_t{1} << 28;
       },
       "output_head_stride is 268435456; expected less than 2^28: give 0 for no gaps"},
      {[](auto& c) {
         c.args.num_heads = 1;
         c.args.output = somewhere(0x1'0000'0000'0000);
         c.args.output_token_stride = std::int64_t{1} << 28;
       },
       "output_token_stride is 268435456; expected less than 2^28: give 0 for no gaps"},
  });
}

TEST_CASE("a workspace that is null, unaligned or not its own is refused") {
  check({
      {[](auto& c) { c.workspace = nullptr; }, "workspace is null; give device memory"},
      {[](auto& c) { c.workspace = somewhere(0x100'0000'0080); },
       "workspace is at 0x10000000080; expected an address that 256 divides"},
  });
  const auto with = [](std::uintptr_t address) {
    return said([&](auto& c) { c.workspace = somewhere(address); });
  };
  constexpr std::uintptr_t kBytes = 3 * kPart;
  struct Operand {
    const char* says;
    std::uintptr_t first;
    std::uintptr_t bytes;
  };
  for (const Operand& operand : {Operand{"overlaps q (", 0x1'0000'0000, 1000 * 16 * 192 * 2},
                                 Operand{"overlaps k (", 0x2'0000'0000, 2000 * 16 * 192 * 2},
                                 Operand{"overlaps output (", 0x6'0000'0000, 1000 * 16 * 128 * 2},
                                 Operand{"overlaps lse (", 0x7'0000'0000, 1000 * 16 * 4},
                                 Operand{"overlaps v (", 0x11'0000'0000, 300 * 16 * 128 * 2},
                                 Operand{"overlaps k (", 0x20'0000'0000, 400 * 16 * 192 * 2},
                                 Operand{"overlaps cu_seqlens_k (", 0x22'0000'0000, 16}}) {
    CAPTURE(operand.says);
    const std::uintptr_t end = operand.first + (operand.bytes + 255) / 256 * 256;
    CHECK(with(operand.first - kBytes + 256).find(operand.says) != std::string::npos);
    CHECK(with(end - 256).find(operand.says) != std::string::npos);
    CHECK(with(operand.first - kBytes) == "no driver");
    CHECK(with(end) == "no driver");
  }
}

TEST_CASE("an output of a chain shares no byte with the keys of a chunk") {
  const auto says = said([](auto& c) { c.args.output = somewhere(0x20'0000'0000); });
  CHECK(says.find("chunks[1]: output (4096000 bytes at 0x2000000000) overlaps k (") !=
        std::string::npos);
}

TEST_CASE("without tokens a chain asks for nothing, and without keys chunks ask for none") {
  CHECK(said([](auto& c) {
          c.args.num_query_tokens = 0;
          c.workspace = nullptr;
        }) == "nothing");
  CHECK(said([](auto& c) { c.chunks = {MlaContextChunk{}, MlaContextChunk{}}; }) == "no driver");
  CHECK(said([](auto& c) {
          c.chunks.clear();
          c.workspace = nullptr;
        }) == "no driver");
}

TEST_CASE("the bytes of a workspace are those of no more than three parts") {
  auto args = mla_args();
  CHECK(kernels::mla_prefill_workspace_bytes(args, 0) == 0);
  CHECK(kernels::mla_prefill_workspace_bytes(args, 1) == 2 * kPart);
  CHECK(kernels::mla_prefill_workspace_bytes(args, 2) == 3 * kPart);
  CHECK(kernels::mla_prefill_workspace_bytes(args, 1000) == 3 * kPart);
  args.num_heads = 1;
  args.num_query_tokens = 3;  // LSEs of 12 bytes
  CHECK(kernels::mla_prefill_workspace_bytes(args, 1) == 2 * (3 * 256 + 256));
  args.num_query_tokens = 0;
  CHECK(kernels::mla_prefill_workspace_bytes(args, 1) == 0);
  const Error error =
      testing::error_of([] { kernels::mla_prefill_workspace_bytes(mla_args(), -1); });
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(testing::contains(error.what(), "num_chunks is -1; expected 0 to 1048576"));
}

}  // namespace
}  // namespace jit
