#include "jit/tensor_map.hpp"

#include "runtime/runtime_fixture.hpp"
#include "support/fake_tensor_map.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::FakeTensorMap;
using testing::Scene;

TensorMapSpec some_spec() {
  TensorMapSpec spec;
  spec.type = DType::kF32;
  spec.rank = 2;
  spec.address = reinterpret_cast<const void*>(0x1000);
  spec.sizes = {64, 10};
  spec.strides = {256};
  spec.box = {64, 1};
  return spec;
}

TEST_CASE("a tensor map is encoded once per spec") {
  Scene scene;
  Runtime runtime(scene.options);
  const TensorMapBits first = make_tensor_map(runtime, some_spec());
  const TensorMapBits again = make_tensor_map(runtime, some_spec());
  CHECK(first.words == again.words);
  CHECK(scene.fake.calls("cuTensorMapEncodeTiled") == 1);
  TensorMapSpec other = some_spec();
  other.sizes[1] = 11;
  CHECK(FakeTensorMap::read(&first).sizes[1] == 10);
  const TensorMapBits longer = make_tensor_map(runtime, other);
  CHECK(FakeTensorMap::read(&longer).sizes[1] == 11);
  CHECK(scene.fake.calls("cuTensorMapEncodeTiled") == 2);
}

TEST_CASE("a broken rule is told before a driver is looked for") {
  Scene scene;
  scene.options.driver = "/no/such/libcuda.so";
  Runtime runtime(scene.options);
  TensorMapSpec spec = some_spec();
  spec.strides[0] = 100;
  CHECK(error_of([&] { make_tensor_map(runtime, spec); }).code() == ErrorCode::kInvalidArgument);
  const Error error = error_of([&] { make_tensor_map(runtime, some_spec()); });
  CHECK(error.code() == ErrorCode::kNoDriver);
  CHECK(contains(error.what(), "/no/such/libcuda.so"));
}

TEST_CASE("what the driver refused once is asked again") {
  Scene scene;
  Runtime runtime(scene.options);
  scene.fake.fail("cuTensorMapEncodeTiled", 1);
  CHECK(error_of([&] { make_tensor_map(runtime, some_spec()); }).code() == ErrorCode::kDriver);
  CHECK_NOTHROW(make_tensor_map(runtime, some_spec()));
}

}  // namespace
}  // namespace jit
