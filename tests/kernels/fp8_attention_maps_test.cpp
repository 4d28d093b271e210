// The tensor maps of fp8_attention.
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "fp8_attention/params.h"
#include "kernels/fp8_attention_args.hpp"
#include "kernels/fp8_attention_launch.hpp"

namespace jit {
namespace {

using cubinet::fp8_attention::Params;
using testing::fp8_args;
using testing::Fp8FrontEnd;
using testing::paged_fp8_args;
using testing::somewhere;

using Words = std::vector<std::uint64_t>;
using Box = std::vector<std::uint16_t>;

struct Map {
  explicit Map(const cubinet::TensorMap& map) : bits(testing::FakeTensorMap::read(&map)) {}
  Words sizes() const { return {bits.sizes, bits.sizes + bits.rank}; }
  Words strides() const { return {bits.strides, bits.strides + bits.rank - 1}; }
  Box box() const { return {bits.box, bits.box + bits.rank}; }

  testing::FakeTensorMap bits;
};

// What was launched, and the tile of its kernel.
struct Launched {
  Launched(Fp8FrontEnd& front, const kernels::Fp8AttentionArgs& args) {
    kernels::fp8_attention(*front.runtime, args, nullptr);
    params = front.last_params<Params>();
    const KernelInfo& info = kernels::fp8_attention_kernel(*front.runtime, args).info();
    keys = static_cast<std::uint16_t>(info.constant("kBlockN").as_int());
    rows = static_cast<std::uint16_t>((info.constant("kNumThreads").as_int() - 128) / 2);
  }
  Map q() const { return Map(params.q); }
  Map k() const { return Map(params.k); }
  Map v() const { return Map(params.v); }

  Params params;
  std::uint16_t keys = 0;
  std::uint16_t rows = 0;
};

std::uint16_t in_packs(int rows, int pack) { return static_cast<std::uint16_t>(rows / pack); }

TEST_CASE("maps of fp8_attention's queries have the packed heads of a token beside each other") {
  Fp8FrontEnd front;
  const Launched launch(front, fp8_args());
  const Map q = launch.q();
  CHECK(q.bits.address == 0x1'0000'0000);
  CHECK(q.bits.type == 0);  // CU_TENSOR_MAP_DATA_TYPE_UINT8
  CHECK(q.bits.swizzle == 3);
  CHECK(q.sizes() == Words{128, 8, 1000, 1, 2});
  CHECK(q.strides() == Words{128, 16 * 128, 128, 8 * 128});
  CHECK(q.box() == Box{128, 8, in_packs(launch.rows, 8), 1, 1});
  auto args = fp8_args();
  args.pack_gqa = 1;
  args.head_dim = 256;
  args.q_head_stride = 272;
  const Launched single(front, args);
  CHECK(single.q().sizes() == Words{128, 1, 1000, 2, 16});
  CHECK(single.q().strides() == Words{272, 16 * 272, 128, 272});
  CHECK(single.q().box() == Box{128, 1, single.rows, 2, 1});
  args.pack_gqa = 4;
  args.q_token_stride = 8192;
  CHECK(Launched(front, args).q().strides() == Words{272, 8192, 128, 4 * 272});
}

TEST_CASE("maps of fp8_attention's keys and values are of heads in slabs") {
  Fp8FrontEnd front;
  struct Row {
    std::int64_t head_dim, head_dim_v;
    std::uint64_t slab, slab_v;
    std::uint8_t swizzle, swizzle_v;
  };
  for (const Row& row :
       {Row{64, 64, 64, 64, 2, 2}, Row{96, 96, 32, 32, 1, 1}, Row{128, 128, 128, 128, 3, 3},
        Row{192, 192, 64, 64, 2, 2}, Row{192, 128, 64, 128, 2, 3}, Row{256, 256, 128, 128, 3, 3}}) {
    auto args = fp8_args();
    args.head_dim = row.head_dim;
    args.head_dim_v = row.head_dim_v;
    const Launched launch(front, args);
    const auto dim = static_cast<std::uint64_t>(row.head_dim);
    const auto dim_v = static_cast<std::uint64_t>(row.head_dim_v);
    CAPTURE(dim, dim_v);
    CHECK(launch.k().bits.address == 0x2'0000'0000);
    CHECK(launch.k().bits.type == 0);
    CHECK(launch.k().bits.swizzle == row.swizzle);
    CHECK(launch.k().sizes() == Words{row.slab, 2000, dim / row.slab, 2});
    CHECK(launch.k().strides() == Words{2 * dim, row.slab, dim});
    CHECK(launch.k().box() == Box{static_cast<std::uint16_t>(row.slab), launch.keys,
                                  static_cast<std::uint16_t>(dim / row.slab), 1});
    CHECK(launch.v().bits.address == 0x3'0000'0000);
    CHECK(launch.v().bits.type == 0);
    CHECK(launch.v().bits.swizzle == row.swizzle_v);
    CHECK(launch.v().sizes() == Words{row.slab_v, 2000, dim_v / row.slab_v, 2});
    CHECK(launch.v().strides() == Words{2 * dim_v, row.slab_v, dim_v});
    CHECK(launch.v().box() == Box{static_cast<std::uint16_t>(row.slab_v), launch.keys,
                                  static_cast<std::uint16_t>(dim_v / row.slab_v), 1});
    CHECK(launch.q().bits.swizzle == row.swizzle);
    CHECK(launch.q().sizes() == Words{row.slab, 8, 1000, dim / row.slab, 2});
  }
}

TEST_CASE("strides that are given to fp8_attention are taken") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.k_head_stride = 160;  // and tokens of 2 such heads
  args.v_head_stride = 2048 * 128;
  args.v_token_stride = 128;
  args.output_head_stride = 144;
  args.output_token_stride = 4096;
  const Launched launch(front, args);
  CHECK(launch.k().strides() == Words{2 * 160, 128, 160});
  CHECK(launch.v().strides() == Words{128, 128, 2048 * 128});
  CHECK(launch.params.out_token_stride == 4096);
  CHECK(launch.params.out_head_stride == 144);
}

TEST_CASE("maps of fp8_attention's pages copy rows of one page and one slab") {
  Fp8FrontEnd front;
  auto args = paged_fp8_args();
  const Launched launch(front, args);
  CHECK(launch.k().sizes() == Words{128, 16, 1, 2, 500});
  CHECK(launch.k().strides() == Words{2 * 128, 128, 128, 16 * 2 * 128});
  CHECK(launch.k().box() == Box{128, 16, 1, 1, 1});
  CHECK(launch.v().bits.address == 0x3'0000'0000);
  CHECK(launch.v().sizes() == Words{128, 16, 1, 2, 500});
  CHECK(launch.v().box() == Box{128, 16, 1, 1, 1});
  // Heads before tokens, keys and values of a page beside each other.
  args.head_dim = 192;
  args.page_size = 48;
  args.num_pages = 100;
  args.k_token_stride = args.v_token_stride = 192;
  args.k_head_stride = args.v_head_stride = 48 * 192;
  args.k_page_stride = 4 * 48 * 192;
  args.v_page_stride = 8 * 48 * 192;
  const Launched wide(front, args);
  CHECK(wide.k().sizes() == Words{64, 48, 3, 2, 100});
  CHECK(wide.k().strides() == Words{192, 64, 48 * 192, 4 * 48 * 192});
  CHECK(wide.k().box() == Box{64, 16, 1, 1, 1});
  CHECK(wide.v().strides() == Words{192, 64, 48 * 192, 8 * 48 * 192});
  // A tile of 96 keys has no 64 of a page.
  args = paged_fp8_args();
  args.head_dim = 256;
  args.page_size = 64;
  const Launched tall(front, args);
  const std::uint16_t rows = tall.keys % 64 == 0 ? 64 : 32;
  CHECK(tall.keys % rows == 0);
  CHECK(tall.k().box() == Box{128, rows, 1, 1, 1});
  args.num_pages = 1;
  CHECK(Launched(front, args).k().sizes() == Words{128, 64, 2, 2, 1});
}

TEST_CASE("without keys fp8_attention has maps that can be prefetched") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.num_key_tokens = 0;
  args.k = args.v = nullptr;
  const Launched none(front, args);
  CHECK(none.k().bits.address == 0x1'0000'0000);
  CHECK(none.v().bits.address == 0x1'0000'0000);
  CHECK(none.params.cu_seqlens_k == args.cu_seqlens_k);
  CHECK(none.params.split_tiles == 1);
  args = paged_fp8_args();
  args.num_pages = 0;
  args.k = args.v = nullptr;
  CHECK(Launched(front, args).k().bits.address == 0x1'0000'0000);
}

TEST_CASE("keys of fp8_attention are as many as there are tokens, where nobody says otherwise") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.cu_seqlens_k = nullptr;
  args.num_key_tokens = 0;
  CHECK(Launched(front, args).v().sizes()[1] == 1000);
  args.num_key_tokens = 1200;
  CHECK(Launched(front, args).v().sizes()[1] == 1200);
}

}  // namespace
}  // namespace jit
