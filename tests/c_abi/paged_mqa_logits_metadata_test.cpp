// The C front end of paged_mqa_logits_metadata hands every operand on.
#include "paged_mqa_logits_metadata/params.h"

#include <cstring>

#include "c_abi/c_abi_fixture.hpp"

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;

cubinet_paged_mqa_logits_metadata_args some_args() {
  cubinet_paged_mqa_logits_metadata_args args = cubinet_paged_mqa_logits_metadata_args_init();
  args.batch = 5;
  args.next_n = 3;
  args.max_context_len = 1000;
  args.num_workers = 78;
  args.context_lens = reinterpret_cast<const std::int32_t*>(0x1000);
  args.schedule = reinterpret_cast<std::int32_t*>(0x2000);
  return args;
}

TEST_CASE("a schedule through C is launched with every operand it was given") {
  CScene scene;
  cubinet_paged_mqa_logits_metadata_args args = some_args();
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_paged_mqa_logits_metadata(scene.runtime(), &args,
                                            reinterpret_cast<cubinet_stream>(0x40)) == CUBINET_OK);
  args.in_order = 1;
  args.next_n = 0;
  args.num_workers = 0;
  REQUIRE(cubinet_paged_mqa_logits_metadata(scene.runtime(), &args, nullptr) == CUBINET_OK);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 2);
  cubinet::paged_mqa_logits_metadata::Params params{};
  REQUIRE(launches[0].params.size() == sizeof params);
  std::memcpy(&params, launches[0].params.data(), sizeof params);
  CHECK(launches[0].programmatic);
  CHECK(launches[0].stream == reinterpret_cast<Stream>(0x40));
  CHECK(params.context_lens == args.context_lens);
  CHECK(params.schedule == args.schedule);
  CHECK(params.batch == 5);
  CHECK(params.next_n == 3);
  CHECK(params.max_context_len == 1000);
  CHECK(params.num_workers == 78);
  std::memcpy(&params, launches[1].params.data(), sizeof params);
  CHECK_FALSE(launches[1].programmatic);
  CHECK(params.next_n == 1);
  CHECK(params.num_workers == 132);
}

TEST_CASE("a schedule through C is refused in the front end's words") {
  CScene scene;
  const auto refused = [&](const cubinet_paged_mqa_logits_metadata_args& args) {
    return cubinet_paged_mqa_logits_metadata(scene.runtime(), &args, nullptr) ==
           CUBINET_INVALID_ARGUMENT;
  };
  cubinet_paged_mqa_logits_metadata_args args = some_args();
  args.schedule = nullptr;
  CHECK(refused(args));
  CHECK(last_error_says("launch paged_mqa_logits_metadata: schedule is null"));
  args = some_args();
  args.in_order = 2;
  CHECK(refused(args));
  CHECK(last_error_says("in_order is 2; expected 0 to 1"));
  args = some_args();
  args.reserved = 1;
  CHECK(refused(args));
  CHECK(last_error_says("reserved is 1"));
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
