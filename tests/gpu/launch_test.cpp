// Launches: what is refused, clusters, shared memory, occupancy, KernelInfo.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "gpu/runtime_fixture.hpp"

namespace jit::test {
namespace {

std::string error_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("Params of another size are refused with both sizes", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(1);
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  struct Longer {
    AddParams params;
    std::uint64_t more;
  };
  const std::string error = error_of([&] {
    kernel.launch({4}, {256}, stream.get(), Longer{values.params(), 0});
  });
  CAPTURE(error);
  CHECK(has(error, "have 24 bytes"));
  CHECK(has(error, "takes 16"));
  stream.synchronize();
  CHECK(values.all_are(0));
}

TEST_CASE("a block or grid that cannot be is refused by number", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(1);
  const Values values(fixture.gpu());
  const AddParams params = values.params();
  CHECK(has(error_of([&] { kernel.launch({1}, {2048}, nullptr, params); }), "2048 threads"));
  CHECK(has(error_of([&] { kernel.launch({1}, {0}, nullptr, params); }), "0 threads"));
  CHECK(has(error_of([&] { kernel.launch({0}, {32}, nullptr, params); }), "empty"));
  // The driver's own refusal comes with its name and what was asked for.
  const std::string error = error_of([&] { kernel.launch({1, 70'000}, {32}, nullptr, params); });
  CAPTURE(error);
  CHECK(has(error, "cuLaunchKernel: CUDA_ERROR_INVALID_VALUE"));
  CHECK(has(error, "70000"));
  synchronize(fixture.gpu());
  CHECK(values.all_are(0));
}

TEST_CASE("KernelInfo says what the cubin is", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(17);
  const KernelInfo& info = kernel.info();
  CHECK(info.name == "add");
  CHECK(has(info.signature, "AMOUNT=17"));
  CHECK(info.params_bytes == sizeof(AddParams));
  CHECK(info.registers > 0);
  CHECK(info.max_threads == 1024);
  CHECK(info.constant("AMOUNT").as_int() == 17);
  const ComputeCapability device = fixture.gpu().device(0).capability;
  CHECK(info.arch ==
        Arch{static_cast<std::uint8_t>(device.major), static_cast<std::uint8_t>(device.minor), 0}
            .text());
}

void check_cluster(RuntimeFixture& fixture, Dim3 grid, Dim3 cluster) {
  const Kernel kernel = fixture.runtime().get_kernel("cluster_shape", {});
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  DeviceBuffer shapes(fixture.gpu(), blocks * sizeof(ClusterShape));
  const StreamOwner stream(fixture.gpu());
  kernel.launch({.grid = grid, .block = {32}, .stream = stream.get(), .cluster = cluster},
                ClusterParams{shapes.as<ClusterShape>()});
  stream.synchronize();
  const std::uint32_t size = cluster.x * cluster.y * cluster.z;
  std::vector<std::size_t> blocks_of_rank(size, 0);
  for (const ClusterShape& shape : shapes.to_vector<ClusterShape>()) {
    CHECK((shape.x == cluster.x && shape.y == cluster.y && shape.z == cluster.z));
    REQUIRE(shape.rank < size);
    ++blocks_of_rank[shape.rank];
  }
  for (const std::size_t count : blocks_of_rank) CHECK(count == blocks / size);
}

TEST_CASE("blocks are launched as clusters", "[runtime][launch]") {
  RuntimeFixture fixture;
  check_cluster(fixture, {16}, {1});
  check_cluster(fixture, {16}, {2});
  check_cluster(fixture, {16}, {8});
  check_cluster(fixture, {8, 4, 2}, {2, 2, 2});
  // More than 8 blocks are not portable and must be allowed first.
  check_cluster(fixture, {32}, {16});
}

TEST_CASE("a cluster that does not divide the grid is the driver's refusal", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.runtime().get_kernel("cluster_shape", {});
  DeviceBuffer shapes(fixture.gpu(), 64 * sizeof(ClusterShape));
  const std::string error = error_of([&] {
    kernel.launch({.grid = {9}, .block = {32}, .cluster = {2}},
                  ClusterParams{shapes.as<ClusterShape>()});
  });
  CAPTURE(error);
  CHECK(has(error, "cuLaunchKernelEx: CUDA_ERROR"));
}

TEST_CASE("all the shared memory of the device can be used", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.runtime().get_kernel("shared_reach", {});
  const std::uint32_t most = fixture.gpu().device(0).max_smem_bytes;
  REQUIRE(most > 48 * 1024);
  DeviceBuffer sums(fixture.gpu(), 3 * sizeof(std::uint32_t));
  const StreamOwner stream(fixture.gpu());
  // Down again as well: the raised limit stays and does no harm.
  for (const std::uint32_t bytes : {1024U, 48U * 1024U, 48U * 1024U + 4U, most, 2048U}) {
    const std::uint32_t words = bytes / 4;
    kernel.launch({.grid = {3}, .block = {256}, .stream = stream.get(), .smem_bytes = bytes},
                  SharedParams{sums.as<std::uint32_t>(), words, 0});
    stream.synchronize();
    std::vector<std::uint32_t> expected;
    for (std::uint32_t block = 0; block < 3; ++block) {
      const std::uint64_t sum = std::uint64_t{words} * (words - 1) / 2;
      expected.push_back(static_cast<std::uint32_t>(sum + std::uint64_t{words} * block));
    }
    CAPTURE(bytes);
    CHECK(sums.to_vector<std::uint32_t>() == expected);
  }
}

TEST_CASE("more shared memory than there is is refused with the numbers", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.runtime().get_kernel("shared_reach", {});
  const std::uint32_t most = fixture.gpu().device(0).max_smem_bytes;
  DeviceBuffer sums(fixture.gpu(), 4);
  const std::string error = error_of([&] {
    kernel.launch({.grid = {1}, .block = {32}, .smem_bytes = most + 4},
                  SharedParams{sums.as<std::uint32_t>(), 1, 0});
  });
  CAPTURE(error);
  CHECK(has(error, std::to_string(most + 4) + " bytes of dynamic shared memory"));
}

TEST_CASE("occupancy is what threads and shared memory leave", "[runtime][launch]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.runtime().get_kernel("shared_reach", {});
  const int by_threads = kernel.max_active_blocks(1024);
  CHECK(by_threads >= 1);
  CHECK(by_threads <= 2);
  CHECK(kernel.max_active_blocks(256) > by_threads);
  const std::uint32_t most = fixture.gpu().device(0).max_smem_bytes;
  CHECK(kernel.max_active_blocks(256, most) == 1);
  const int halves = kernel.max_active_blocks(256, most / 2 - 2048);
  CHECK(halves == 2);
  CHECK_THROWS_AS(kernel.max_active_blocks(256, most + 4), Error);
}

}  // namespace
}  // namespace jit::test
