// Shapes that fp8_attention refuses, in which words, before it asks for a driver or a kernel.
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

#include "kernels/fp8_attention_refusal.hpp"

namespace jit {
namespace {

using testing::somewhere;
using Refusals = testing::Fp8Refusals;
using Args = Refusals::Args;
using Change = Refusals::Change;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

TEST_CASE("good operands of fp8_attention get as far as the driver") {
  CHECK(Refusals::said([](auto&) {}) == "no driver");
  CHECK(Refusals::said_paged([](auto&) {}) == "no driver");
  for (const std::int64_t dim : {64, 96, 128, 192, 256}) {
    CHECK(Refusals::said([dim](auto& a) { a.head_dim = dim; }) == "no driver");
    CHECK(Refusals::said([dim](auto& a) { a.head_dim = a.head_dim_v = dim; }) == "no driver");
  }
  CHECK(Refusals::said([](auto& a) {
          a.head_dim = 192;
          a.head_dim_v = 128;
        }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.num_kv_heads = 0; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.softmax_scale = 1e-10F; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.softcap = 30; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.window_left = a.window_right = 0; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.window_left = a.window_right = kHuge; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.accum_interval = 64; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.lse = nullptr; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.cu_seqlens_k = nullptr; }) == "no driver");
  CHECK(Refusals::said([](auto& a) { a.invariant = true; }) == "no driver");
}

TEST_CASE("counts that fp8_attention does not take are refused by name") {
  Refusals::check({
      {[](auto& a) { a.num_sequences = -1; }, "num_sequences is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.num_query_tokens = -1; },
       "num_query_tokens is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.num_key_tokens = kHuge; },
       "num_key_tokens is 9223372036854775807; expected 0 to 1073741824"},
      {[](auto& a) { a.max_query_tokens = -1; },
       "max_query_tokens is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.max_key_tokens = kLeast; },
       "max_key_tokens is -9223372036854775808; expected 0 to 1073741824"},
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
      {[](auto& a) {
         a.num_sequences = (1 << 26) - 1;
         a.num_splits = 17;
       },
       "num_splits is 17 for 1000 query tokens of 67108863 sequences and 16 heads; expected fewer "
       "than 2^31 pieces of work: give 0, or split the heads over several launches"},
  });
}

TEST_CASE("dimensions and numbers that fp8_attention does not take are refused by name") {
  Refusals::check({
      {[](auto& a) { a.head_dim = 80; }, "head_dim is 80; expected 64, 96, 128, 192 or 256"},
      {[](auto& a) { a.head_dim_v = 64; },
       "head_dim_v is 64 beside head_dim 128; expected the same, or 128 beside 192: give 0 for the "
       "same"},
      {[](auto& a) {
         a.head_dim = 256;
         a.head_dim_v = 128;
       },
       "head_dim_v is 128 beside head_dim 256; expected the same, or 128 beside 192: give 0 for "
       "the same"},
      {[](auto& a) { a.softmax_scale = -1; },
       "softmax_scale is -1; expected 2^-64 to 2^64, or 0 for head_dim^-0.5"},
      {[](auto& a) { a.softmax_scale = std::numeric_limits<float>::quiet_NaN(); },
       "softmax_scale is nan; expected 2^-64 to 2^64, or 0 for head_dim^-0.5"},
      {[](auto& a) { a.softcap = -30; }, "softcap is -30; expected 2^-32 to 2^32, or 0 for none"},
      {[](auto& a) { a.softcap = std::numeric_limits<float>::infinity(); },
       "softcap is inf; expected 2^-32 to 2^32, or 0 for none"},
      {[](auto& a) { a.softcap = std::numeric_limits<float>::quiet_NaN(); },
       "softcap is nan; expected 2^-32 to 2^32, or 0 for none"},
      {[](auto& a) { a.window_left = -2; },
       "window_left is -2; expected 0 or more, or -1 for unbounded"},
      {[](auto& a) { a.window_right = kLeast; },
       "window_right is -9223372036854775808; expected 0 or more, or -1 for unbounded"},
      {[](auto& a) { a.accum_interval = -1; },
       "accum_interval is -1; expected 0 to 64: 1 is every key tile, 0 never"},
      {[](auto& a) {
         a.accum_interval = 2;
         a.invariant = true;
       },
       "accum_interval is 2 beside invariant; expected 0 or 1: which tiles are added up together "
       "depends on the rows of a block"},
      {[](auto& a) { a.accum_interval = 65; },
       "accum_interval is 65; expected 0 to 64: 1 is every key tile, 0 never"},
      {[](auto& a) {
         a.head_dim = 192;
         a.head_dim_v = 128;
         a.accum_interval = 2;
       },
       "accum_interval is 2 for head_dim 192; expected 0 or 1 above 128: 1 is the most exact"},
      {[](auto& a) { a.pack_gqa = 2; }, "pack_gqa is 2; expected 0, 1, 4, 8 or 16"},
      {[](auto& a) { a.pack_gqa = 16; },
       "pack_gqa is 16; expected a divisor of num_heads / num_kv_heads (8): give 0 for the most "
       "that divides it"},
  });
  CHECK(Refusals::said([](auto& a) {
          a.head_dim = 256;
          a.accum_interval = 0;
        }) == "no driver");
}

TEST_CASE("splits and workspaces that fp8_attention does not take are refused by name") {
  Refusals::check({
      {[](auto& a) { a.num_splits = -1; },
       "num_splits is -1; expected 0 to 128: 0 is as many as keep the GPU busy, 1 none"},
      {[](auto& a) { a.num_splits = 129; },
       "num_splits is 129; expected 0 to 128: 0 is as many as keep the GPU busy, 1 none"},
      {[](auto& a) {
         testing::give_workspace(a);
         a.num_splits = 2;
         a.invariant = true;
       },
       "num_splits is 2 beside invariant; expected 0 or 1: parts of the keys would round otherwise "
       "than the whole"},
      {[](auto& a) { a.workspace_bytes = -1; },
       "workspace_bytes is -1; expected 0 to 1152921504606846976"},
      {[](auto& a) {
         testing::give_workspace(a);
         a.workspace = somewhere(0x10'0000'0080);
       },
       "workspace is at 0x1000000080; expected an address that 256 divides"},
  });
  const auto refusal = [](std::int64_t bytes, void* workspace) {
    return Refusals::said([&](auto& a) {
      a.workspace = workspace;
      a.workspace_bytes = bytes;
      a.num_splits = 3;
    });
  };
  constexpr std::int64_t kNeeded = std::int64_t{3} * 16'000 * (128 + 1) * 4;
  void* const somewhere_aligned = somewhere(0x10'0000'0000);
  CHECK(refusal(kNeeded - 1, somewhere_aligned) ==
        "launch fp8_attention: workspace_bytes is 24767999 for num_splits 3; expected 24768000 or "
        "more: ask fp8_attention_workspace_bytes");
  CHECK(refusal(kNeeded, somewhere_aligned) == "no driver");
  CHECK(refusal(kNeeded, nullptr) == "launch fp8_attention: workspace is null; give device memory");
}

TEST_CASE("the workspace of shapes that fp8_attention refuses is refused") {
  auto args = testing::fp8_args();
  args.head_dim = 100;
  CHECK(std::string(testing::error_of([&] { kernels::fp8_attention_workspace_bytes(args); }).what())
            .find("head_dim is 100") != std::string::npos);
  CHECK(std::string(testing::error_of([&] {
                      kernels::fp8_attention_workspace_bytes(testing::fp8_args(), 0);
                    }).what()) ==
        "launch fp8_attention: multiprocessors is 0; expected 1 to 1048576");
}

TEST_CASE("pages that fp8_attention does not take are refused by name") {
  Refusals::check_paged({
      {[](auto& a) { a.page_size = 0; }, "page_size is 0; expected 1 to 1073741824"},
      {[](auto& a) { a.num_pages = -1; }, "num_pages is -1; expected 0 to 1073741824"},
      {[](auto& a) { a.max_pages = kHuge; },
       "max_pages is 9223372036854775807; expected 0 to 1073741824"},
      {[](auto& a) { a.num_pages = (1 << 26) + 1; },
       "num_pages * page_size is 67108865 * 16; expected at most 2^30 tokens"},
      {[](auto& a) { a.max_pages = (1 << 26) + 1; },
       "max_pages * page_size is 67108865 * 16; expected at most 2^30 tokens"},
      {[](auto& a) { a.page_table_stride = 39; },
       "page_table_stride is 39; expected max_pages (40) or more, and offsets below 2^57 for 3 "
       "rows: give 0 for rows without padding"},
      {[](auto& a) { a.cu_seqlens_k = somewhere<std::int32_t>(0x5'0000'0000); },
       "cu_seqlens_k is given beside page_table; give seqused_k alone"},
      {[](auto& a) { a.seqused_k = nullptr; }, "seqused_k is null; give device memory"},
      {[](auto& a) { a.page_table = somewhere<std::int32_t>(0x9'0000'0002); },
       "page_table is at 0x900000002; expected an address that 4 divides"},
      {[](auto& a) {
         a.head_dim = 64;
         a.page_size = 15;
       },
       "page_size is 15; expected a multiple of 2 for head_dim 64: copies are of 128 bytes or "
       "more"},
      {[](auto& a) {
         a.head_dim = 96;
         a.page_size = 2;
       },
       "page_size is 2; expected a multiple of 4 for head_dim 96: copies are of 128 bytes or more"},
      {[](auto& a) {
         a.head_dim = 192;
         a.head_dim_v = 128;
         a.page_size = 1;
       },
       "page_size is 1; expected a multiple of 2 for head_dim 192: copies are of 128 bytes or "
       "more"},
      {[](auto& a) { a.k_page_stride = 64; },
       "k_page_stride is 64; expected a multiple of 16 from 128 to 2^39 - 16, and offsets below "
       "2^56 for 500 pages: give 0 for no gaps"},
      {[](auto& a) { a.v_page_stride = -4096; },
       "v_page_stride is -4096; expected a multiple of 16 from 128 to 2^39 - 16, and offsets below "
       "2^56 for 500 pages: give 0 for no gaps"},
  });
  CHECK(Refusals::said_paged([](auto& a) { a.page_size = 1; }) == "no driver");
  CHECK(Refusals::said_paged([](auto& a) { a.num_key_tokens = -7; }) == "no driver");
  // Of a single page the stride leads nowhere.
  CHECK(Refusals::said_paged([](auto& a) {
          a.num_pages = 1;
          a.k_page_stride = -4096;
        }) == "no driver");
}

TEST_CASE("what belongs to pages is refused without a table") {
  const auto is = [](const Change& change, const std::string& what) {
    CHECK(Refusals::said(change) ==
          "launch fp8_attention: " + what +
              " without page_table; give the table, or 0 for keys without pages");
  };
  is([](auto& a) { a.page_table_stride = 40; }, "page_table_stride is 40");
  is([](auto& a) { a.max_pages = 40; }, "max_pages is 40");
  is([](auto& a) { a.num_pages = 500; }, "num_pages is 500");
  is([](auto& a) { a.page_size = 16; }, "page_size is 16");
  is([](auto& a) { a.k_page_stride = 4096; }, "k_page_stride is 4096");
  is([](auto& a) { a.v_page_stride = 4096; }, "v_page_stride is 4096");
}

TEST_CASE("without tokens, heads or sequences fp8_attention asks for nothing") {
  for (const Change& change : {Change([](auto& a) { a.num_query_tokens = 0; }),
                               Change([](auto& a) { a.num_heads = a.num_kv_heads = 0; }),
                               Change([](auto& a) { a.num_sequences = 0; })}) {
    CHECK(Refusals::said([&](auto& a) {
            change(a);
            a.q = a.k = a.v = a.output = nullptr;
          }) == "nothing");
  }
  CHECK(Refusals::said([](auto& a) {
          a.num_query_tokens = 0;
          a.head_dim = 100;
        }).find("head_dim is 100") != std::string::npos);
}

TEST_CASE("without keys fp8_attention asks for none") {
  CHECK(Refusals::said([](auto& a) {
          a.num_key_tokens = 0;
          a.k = a.v = nullptr;
        }) == "no driver");
  CHECK(Refusals::said_paged([](auto& a) {
          a.num_pages = 0;
          a.k = a.v = nullptr;
        }) == "no driver");
}

}  // namespace
}  // namespace jit
