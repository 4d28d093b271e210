// Tensor maps through C.
#include "c_abi/c_abi_fixture.hpp"
#include "support/fake_tensor_map.hpp"

namespace jit {
namespace {

using testing::CScene;
using testing::FakeTensorMap;
using testing::last_error_says;

cubinet_tensor_map_spec some_spec() {
  cubinet_tensor_map_spec spec = cubinet_tensor_map_spec_init();
  spec.address = reinterpret_cast<const void*>(0x1230);
  spec.type = CUBINET_BF16;
  spec.rank = 3;
  for (std::uint32_t i = 0; i < 3; ++i) {
    spec.sizes[i] = 100 + i;
    spec.box[i] = 8 * (i + 1);
  }
  spec.strides[0] = 256;
  spec.strides[1] = 512;
  spec.element_strides[2] = 2;
  return spec;
}

FakeTensorMap make(CScene& scene, const cubinet_tensor_map_spec& spec) {
  cubinet_tensor_map map{};
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_make_tensor_map(scene.runtime(), &spec, &map) == CUBINET_OK);
  return FakeTensorMap::read(&map);
}

TEST_CASE("a tensor map through C is what was asked for, zero fields by default") {
  CScene scene;
  const FakeTensorMap map = make(scene, some_spec());
  CHECK(map.address == 0x1230);
  CHECK(map.type == 9);
  CHECK(map.rank == 3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(map.sizes[i] == 100 + i);
    CHECK(map.box[i] == 8 * (i + 1));
    CHECK(map.element_strides[i] == (i == 2 ? 2 : 1));
  }
  CHECK(map.strides[0] == 256);
  CHECK(map.strides[1] == 512);
  CHECK(map.swizzle == 0);
  CHECK(map.promotion == 3);
  CHECK(map.fill == 0);
}

TEST_CASE("every choice of a tensor map goes through C") {
  CScene scene;
  cubinet_tensor_map_spec spec = some_spec();
  for (const int choice : {1, 2, 3}) {
    spec.swizzle = choice;
    spec.l2_promotion = choice;
    spec.out_of_bounds = choice & 1;
    const FakeTensorMap map = make(scene, spec);
    CHECK(map.swizzle == choice);
    CHECK(map.promotion == choice - 1);
    CHECK(map.fill == (choice & 1));
  }
}

TEST_CASE("a tensor map through C is refused by field, and the output is left alone") {
  CScene scene;
  cubinet_tensor_map map{};
  map.words[0] = 7;
  const auto refused = [&](const cubinet_tensor_map_spec& spec) {
    return cubinet_make_tensor_map(scene.runtime(), &spec, &map) == CUBINET_INVALID_ARGUMENT &&
           map.words[0] == 7;
  };
  cubinet_tensor_map_spec spec = some_spec();
  spec.l2_promotion = 5;
  CHECK(refused(spec));
  CHECK(last_error_says("l2_promotion is 5"));
  spec = some_spec();
  spec.type = 0;
  CHECK(refused(spec));
  CHECK(last_error_says("read cubinet_tensor_map_spec: type is 0; expected a cubinet_dtype"));
  spec = some_spec();
  spec.strides[1] = 511;
  CHECK(refused(spec));
  CHECK(last_error_says("make tensor map: strides[1] (of dimension 2) is 511 bytes"));
  spec = some_spec();
  spec.reserved = 1;
  CHECK(refused(spec));
  CHECK(cubinet_make_tensor_map(scene.runtime(), nullptr, &map) == CUBINET_INVALID_ARGUMENT);
  CHECK(cubinet_make_tensor_map(scene.runtime(), &spec, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("map is NULL"));
}

}  // namespace
}  // namespace jit
