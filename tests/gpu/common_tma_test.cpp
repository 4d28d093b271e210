// Boxes through tensor maps: common/tma.cuh against the host's own working out of every byte.
#include <algorithm>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <span>

#include "gpu/guarded_buffer.hpp"
#include "gpu/runtime_fixture.hpp"
#include "gpu/tensor_box.hpp"
#include "test_multicast/params.h"
#include "test_tma/params.h"

namespace jit::test {
namespace {

using cubinet::test_tma::Params;
using Bytes = std::vector<std::byte>;

constexpr Swizzle kSwizzles[] = {Swizzle::kNone, Swizzle::k32Bytes, Swizzle::k64Bytes,
                                 Swizzle::k128Bytes};
constexpr std::array<std::uint64_t, 3> kPolicies{0x16F0000000000000U, 0x12F0000000000000U,
                                                 0x14F0000000000000U};
constexpr std::size_t kMostBytes = std::size_t{48} * 1024;

Bytes random_bytes(std::mt19937_64& random, std::size_t count) {
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

cubinet::TensorMap map_of(RuntimeFixture& fixture, TensorMapSpec spec, const void* address) {
  spec.address = address;
  return std::bit_cast<cubinet::TensorMap>(make_tensor_map(fixture.runtime(), spec));
}

// What a box should hold where it lies outside of its tensor.
bool is_filling(const TensorMapSpec& spec, const std::byte* element) {
  if (spec.out_of_bounds == OutOfBounds::kZero) {
    return std::all_of(element, element + bytes_of(spec.type),
                       [](std::byte byte) { return byte == std::byte{0}; });
  }
  if (spec.type == DType::kF32) {
    float value = 0;
    std::memcpy(&value, element, sizeof(value));
    return std::isnan(value);
  }
  std::uint16_t code = 0;
  std::memcpy(&code, element, sizeof(code));
  return (code & 0x7FFFU) > (spec.type == DType::kF16 ? 0x7C00U : 0x7F80U);
}

// How many elements of a box landed wrong.
std::size_t wrong_elements(const TensorMapSpec& spec, const Coordinates& at, const Bytes& tensor,
                           std::span<const std::byte> image) {
  const std::size_t size = bytes_of(spec.type);
  std::size_t wrong = 0;
  for (const BoxElement& element : elements_of(spec, at)) {
    const std::byte* const landed = image.data() + element.in_smem;
    const bool right = element.in_tensor
                           ? std::equal(landed, landed + size, tensor.data() + *element.in_tensor)
                           : is_filling(spec, landed);
    wrong += right ? 0U : 1U;
  }
  return wrong;
}

// The tensor after the inverted box was stored to it: bytes outside of the box stay.
Bytes after_store(const TensorMapSpec& spec, const Coordinates& at, Bytes tensor,
                  std::span<const std::byte> image) {
  for (const BoxElement& element : elements_of(spec, at)) {
    if (!element.in_tensor) continue;
    for (std::size_t i = 0; i < bytes_of(spec.type); ++i) {
      tensor[*element.in_tensor + i] = ~image[element.in_smem + i];
    }
  }
  return tensor;
}

struct BoxRun {
  TensorMapSpec from, to;
  Coordinates from_at{}, to_at{};
  std::uint64_t policy = kPolicies[0];
};

BoxRun random_run(std::mt19937_64& random, const BoxKind& kind) {
  BoxRun run;
  run.from = random_spec(random, kind, kMostBytes);
  run.to = random_target(random, run.from);
  run.from_at = random_coordinates(random, run.from);
  run.to_at = random_store_coordinates(random, run.to);
  run.policy = kPolicies[random() % kPolicies.size()];
  return run;
}

void check_run(RuntimeFixture& fixture, std::mt19937_64& random, const BoxRun& run) {
  Driver& gpu = fixture.gpu();
  const Bytes source = random_bytes(random, tensor_bytes(run.from));
  const Bytes target = random_bytes(random, tensor_bytes(run.to));
  const std::size_t bytes = box_bytes(run.from);
  const GuardedBuffer from(gpu, source);
  const GuardedBuffer to(gpu, target);
  const GuardedBuffer image(gpu, Bytes(bytes, std::byte{0x77}));
  const DeviceBuffer policies(gpu, sizeof(kPolicies));
  Params params{};
  params.from = map_of(fixture, run.from, from.as<void>());
  params.to = map_of(fixture, run.to, to.as<void>());
  params.image = image.as<unsigned char>();
  params.policies = policies.as<unsigned long long>();
  params.policy = run.policy;
  std::copy(run.from_at.begin(), run.from_at.end(), params.from_at);
  std::copy(run.to_at.begin(), run.to_at.end(), params.to_at);
  params.box_bytes = static_cast<unsigned>(bytes);
  const Kernel kernel =
      fixture.runtime().get_kernel("test_tma", {{"RANK", std::int64_t{run.from.rank}}});
  synchronize(gpu);
  kernel.launch({.grid = {1}, .block = {128}, .smem_bytes = params.box_bytes + 2048}, params);
  synchronize(gpu);
  const Image landed = image.download();
  const Image stored = to.download();
  CHECK(wrong_elements(run.from, run.from_at, source, landed.payload()) == 0);
  const Bytes expected = after_store(run.to, run.to_at, target, landed.payload());
  CHECK(std::ranges::equal(stored.payload(), expected));
  CHECK(landed.guard_damage().empty());
  CHECK(stored.guard_damage().empty());
  CHECK(std::ranges::equal(policies.to_vector<std::uint64_t>(), kPolicies));
}

void check_rank(std::uint32_t rank, int boxes_per_kind) {
  RuntimeFixture fixture;
  std::mt19937_64 random(run_seed() + rank);
  for (const Swizzle swizzle : kSwizzles) {
    for (const DType type : {DType::kU8, DType::kBF16, DType::kF16, DType::kF32}) {
      for (const OutOfBounds filling : {OutOfBounds::kZero, OutOfBounds::kNaN}) {
        if (type == DType::kU8 && filling == OutOfBounds::kNaN) continue;
        for (int i = 0; i < boxes_per_kind; ++i) {
          CAPTURE(rank, static_cast<int>(swizzle), static_cast<int>(type), i);
          check_run(fixture, random, random_run(random, {rank, type, swizzle, filling}));
        }
      }
    }
  }
}

TEST_CASE("1-D boxes land and leave byte by byte", "[common][tma]") { check_rank(1, 8); }
TEST_CASE("2-D boxes land and leave byte by byte", "[common][tma]") { check_rank(2, 8); }
TEST_CASE("3-D boxes land and leave byte by byte", "[common][tma]") { check_rank(3, 8); }
TEST_CASE("4-D boxes land and leave byte by byte", "[common][tma]") { check_rank(4, 8); }
TEST_CASE("5-D boxes land and leave byte by byte", "[common][tma]") { check_rank(5, 8); }

TEST_CASE("the comparison of boxes sees every wrong byte", "[common][tma]") {
  std::mt19937_64 random(run_seed());
  for (const Swizzle swizzle : kSwizzles) {
    const TensorMapSpec spec = random_spec(random, {3, DType::kU8, swizzle, {}}, kMostBytes);
    const Bytes tensor = random_bytes(random, tensor_bytes(spec));
    const Coordinates at{};
    Bytes image(box_bytes(spec), std::byte{0});
    for (const BoxElement& element : elements_of(spec, at)) {
      if (element.in_tensor) image[element.in_smem] = tensor[*element.in_tensor];
    }
    CHECK(wrong_elements(spec, at, tensor, image) == 0);
    image[random() % image.size()] ^= std::byte{0x10};
    CHECK(wrong_elements(spec, at, tensor, image) == 1);
  }
}

// ---- Several blocks ----

struct Multicast {
  std::uint32_t blocks = 2;  // of the cluster
  std::uint32_t source = 0;
  std::uint32_t receivers = 3;
};

void check_multicast(RuntimeFixture& fixture, std::mt19937_64& random, std::uint32_t rank,
                     const Multicast& cast) {
  Driver& gpu = fixture.gpu();
  const TensorMapSpec spec =
      random_spec(random, {rank, DType::kU8, kSwizzles[random() % 4], {}}, kMostBytes);
  const Coordinates at = random_coordinates(random, spec);
  const Bytes source = random_bytes(random, tensor_bytes(spec));
  const std::size_t bytes = box_bytes(spec);
  const GuardedBuffer from(gpu, source);
  const GuardedBuffer images(gpu, Bytes(bytes * cast.blocks, std::byte{0x77}));
  cubinet::test_multicast::Params params{};
  params.from = map_of(fixture, spec, from.as<void>());
  params.images = images.as<unsigned char>();
  std::copy(at.begin(), at.end(), params.from_at);
  params.box_bytes = static_cast<unsigned>(bytes);
  params.source = cast.source;
  params.blocks = cast.receivers;
  const Kernel kernel =
      fixture.runtime().get_kernel("test_multicast", {{"RANK", std::int64_t{rank}}});
  synchronize(gpu);
  kernel.launch({.grid = {cast.blocks},
                 .block = {128},
                 .smem_bytes = params.box_bytes + 2048,
                 .cluster = {cast.blocks}},
                params);
  synchronize(gpu);
  const Image landed = images.download();
  for (std::uint32_t block = 0; block < cast.blocks; ++block) {
    CAPTURE(block);
    const auto image = landed.payload().subspan(block * bytes, bytes);
    if ((cast.receivers >> block & 1U) != 0) {
      CHECK(wrong_elements(spec, at, source, image) == 0);
    } else {
      CHECK(std::ranges::all_of(image, [](std::byte byte) { return byte == std::byte{0x5A}; }));
    }
  }
  CHECK(landed.guard_damage().empty());
}

TEST_CASE("a box lands in the blocks that are named and in no other", "[common][tma][cluster]") {
  RuntimeFixture fixture;
  std::mt19937_64 random(run_seed());
  for (std::uint32_t rank = 2; rank <= 5; ++rank) {
    for (const std::uint32_t blocks : {1U, 2U, 4U, 8U}) {
      for (int i = 0; i < 4; ++i) {
        const auto source = static_cast<std::uint32_t>(random() % blocks);
        const auto receivers = static_cast<std::uint32_t>(1 + random() % ((1U << blocks) - 1));
        CAPTURE(rank, blocks, source, receivers);
        check_multicast(fixture, random, rank, {blocks, source, receivers});
      }
    }
  }
}

}  // namespace
}  // namespace jit::test
