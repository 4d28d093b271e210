// The C front ends of paged_mqa_logits and mqa_logits hand every operand on.
#include <cstring>

#include "c_abi/c_abi_fixture.hpp"
#include "mqa_logits/params.h"
#include "paged_mqa_logits/params.h"

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;

template <class T>
T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

cubinet_paged_mqa_logits_args paged_args() {
  cubinet_paged_mqa_logits_args args = cubinet_paged_mqa_logits_args_init();
  args.batch = 4;
  args.next_n = 2;
  args.num_heads = 32;
  args.num_blocks = 100;
  args.max_context_len = 1000;
  args.query = at<void>(0x1'0000'0000);
  args.kv_cache = at<void>(0x2'0000'0000);
  args.weights = at<float>(0x3'0000'0000);
  args.context_lens = at<std::int32_t>(0x4'0000'0000);
  args.block_table = at<std::int32_t>(0x5'0000'0000);
  args.schedule = at<std::int32_t>(0x6'0000'0000);
  args.logits = at<void>(0x7'0000'0000);
  args.block_stride = 8464;
  args.block_table_stride = 20;
  args.logits_stride = 1024;
  args.num_workers = 66;
  return args;
}

cubinet_mqa_logits_args plain_args() {
  cubinet_mqa_logits_args args = cubinet_mqa_logits_args_init();
  args.num_tokens = 10;
  args.num_keys = 1000;
  args.num_heads = 64;
  args.query = at<void>(0x1'0000'0000);
  args.keys = at<void>(0x2'0000'0000);
  args.key_scales = at<float>(0x3'0000'0000);
  args.weights = at<float>(0x4'0000'0000);
  args.starts = at<std::int32_t>(0x5'0000'0000);
  args.ends = at<std::int32_t>(0x6'0000'0000);
  args.logits = at<void>(0x7'0000'0000);
  args.logits_width = 300;
  args.logits_stride = 512;
  args.num_workers = 20;
  return args;
}

template <class Params>
Params last_params(CScene& scene) {
  const auto launches = scene.fake.launches();
  REQUIRE_FALSE(launches.empty());
  Params params{};
  REQUIRE(launches.back().params.size() == sizeof params);
  std::memcpy(static_cast<void*>(&params), launches.back().params.data(), sizeof params);
  return params;
}

TEST_CASE("paged scores through C launch with every operand they were given") {
  CScene scene;
  auto args = paged_args();
  const auto stream = reinterpret_cast<cubinet_stream>(0x40);
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_paged_mqa_logits(scene.runtime(), &args, stream) == CUBINET_OK);
  const auto params = last_params<cubinet::paged_mqa_logits::Params>(scene);
  CHECK(params.keys.words[0] == 0x2'0000'0000);
  CHECK(params.queries.words[0] == 0x1'0000'0000);
  CHECK(params.pages == args.kv_cache);
  CHECK(params.weights == args.weights);
  CHECK(params.context_lens == args.context_lens);
  CHECK(params.block_table == args.block_table);
  CHECK(params.schedule == args.schedule);
  CHECK(params.logits == args.logits);
  CHECK(params.page_stride == 8464);
  CHECK(params.block_table_stride == 20);
  CHECK(params.logits_stride == 1024);
  CHECK(params.batch == 4);
  CHECK(params.max_context_len == 1000);
  const auto launch = scene.fake.launches().back();
  CHECK(launch.grid.x == 66);
  CHECK(launch.programmatic);
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  const std::string first = launch.symbol;
  args.in_order = 1;
  args.clean_logits = 1;
  args.logits_type = CUBINET_BF16;
  args.head_dim = 64;
  args.block_kv = 32;
  REQUIRE(cubinet_paged_mqa_logits(scene.runtime(), &args, stream) == CUBINET_OK);
  CHECK_FALSE(scene.fake.launches().back().programmatic);
  CHECK(scene.fake.launches().back().symbol != first);
}

TEST_CASE("scores through C launch with every operand they were given") {
  CScene scene;
  auto args = plain_args();
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_mqa_logits(scene.runtime(), &args, nullptr) == CUBINET_OK);
  const auto params = last_params<cubinet::mqa_logits::Params>(scene);
  CHECK(params.queries.words[0] == 0x1'0000'0000);
  CHECK(params.keys.words[0] == 0x2'0000'0000);
  CHECK(params.key_scales.words[0] == 0x3'0000'0000);
  CHECK(params.weights == args.weights);
  CHECK(params.starts == args.starts);
  CHECK(params.ends == args.ends);
  CHECK(params.logits == args.logits);
  CHECK(params.logits_width == 300);
  CHECK(params.logits_stride == 512);
  CHECK(params.num_tokens == 10);
  CHECK(params.num_keys == 1000);
  const auto launch = scene.fake.launches().back();
  CHECK(launch.grid.x == 20);
  CHECK(launch.programmatic);
  args.in_order = args.clean_logits = args.compressed_logits = 1;
  args.logits_type = CUBINET_BF16;
  args.head_dim = 32;
  REQUIRE(cubinet_mqa_logits(scene.runtime(), &args, nullptr) == CUBINET_OK);
  CHECK_FALSE(scene.fake.launches().back().programmatic);
  CHECK(scene.fake.launches().back().symbol != launch.symbol);
}

TEST_CASE("scores through C are refused in the front end's words") {
  CScene scene;
  auto paged = paged_args();
  paged.next_n = 7;
  CHECK(cubinet_paged_mqa_logits(scene.runtime(), &paged, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("launch paged_mqa_logits: next_n is 7; expected 1 to 6"));
  paged = paged_args();
  paged.clean_logits = 2;
  CHECK(cubinet_paged_mqa_logits(scene.runtime(), &paged, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("clean_logits is 2"));
  paged = paged_args();
  paged.reserved = 1;
  CHECK(cubinet_paged_mqa_logits(scene.runtime(), &paged, nullptr) == CUBINET_INVALID_ARGUMENT);
  auto plain = plain_args();
  plain.logits_type = CUBINET_F16;
  CHECK(cubinet_mqa_logits(scene.runtime(), &plain, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("launch mqa_logits: logits_type is f16; expected f32 or bf16"));
  plain = plain_args();
  plain.compressed_logits = -1;
  CHECK(cubinet_mqa_logits(scene.runtime(), &plain, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(cubinet_mqa_logits(scene.runtime(), nullptr, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("args is NULL"));
  // 0 stands for what most callers have.
  paged = paged_args();
  paged.next_n = paged.batch = 0;
  CHECK(cubinet_paged_mqa_logits(scene.runtime(), &paged, nullptr) == CUBINET_OK);
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
