// The driver's verdict on tensor maps: what passes here it takes, what is refused here it refuses.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <random>

#include "gpu/runtime_fixture.hpp"
#include "jit/tensor_map.hpp"
#include "load/graph.hpp"
#include "load/tensor_map.hpp"

namespace jit::test {
namespace {

TensorMapSpec rows_of(const DeviceBuffer& buffer) {
  TensorMapSpec spec;
  spec.type = DType::kE4M3;
  spec.rank = 3;
  spec.address = buffer.as<void>();
  spec.sizes = {128, 64, 100};
  spec.strides = {128, 8448};
  spec.box = {128, 64, 1};
  spec.swizzle = Swizzle::k128Bytes;
  return spec;
}

bool is_refused(const TensorMapSpec& spec) {
  try {
    check_tensor_map(spec);
  } catch (const Error&) {
    return true;
  }
  return false;
}

bool driver_refuses(const TensorMapSpec& spec) {
  try {
    encode_tensor_map(driver(), spec);
  } catch (const Error& error) {
    CHECK(std::string_view(error.what()).find("CUDA_ERROR_INVALID_VALUE") != std::string::npos);
    return true;
  }
  return false;
}

TEST_CASE("the driver refuses what a broken rule names", "[tensor_map]") {
  using Change = std::function<void(TensorMapSpec&)>;
  struct Row {
    const char* rule;
    Change change;
  };
  const std::vector<Row> rows{
      {"address", [](auto& s) { s.address = static_cast<const char*>(s.address) + 8; }},
      {"size 0", [](auto& s) { s.sizes[2] = 0; }},
      {"size 2^32 + 1", [](auto& s) { s.sizes[2] = (1ULL << 32) + 1; }},
      {"stride of 8", [](auto& s) { s.strides[1] += 8; }},
      {"stride of 2^40", [](auto& s) { s.strides[1] = 1ULL << 40; }},
      {"box 0", [](auto& s) { s.box[1] = 0; }},
      {"box 257", [](auto& s) { s.box[1] = 257; }},
      {"box of 120 bytes", [](auto& s) { s.box[0] = 120; }},
      {"box beyond the swizzle", [](auto& s) { s.swizzle = Swizzle::k64Bytes; }},
      {"element stride 0", [](auto& s) { s.element_strides[1] = 0; }},
      {"element stride 9", [](auto& s) { s.element_strides[1] = 9; }},
      {"NaN for bytes", [](auto& s) { s.out_of_bounds = OutOfBounds::kNaN; }},
  };
  const DeviceBuffer buffer(driver(), 1 << 20);
  CHECK(!driver_refuses(rows_of(buffer)));
  for (const Row& row : rows) {
    TensorMapSpec spec = rows_of(buffer);
    row.change(spec);
    CAPTURE(row.rule);
    CHECK(is_refused(spec));
    CHECK(driver_refuses(spec));
  }
}

template <class T>
T pick(std::mt19937_64& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

std::uint64_t bytes_of_box(const TensorMapSpec& spec) {
  std::uint64_t bytes = bytes_of(spec.type);
  for (std::size_t i = 0; i < spec.rank; ++i) {
    bytes *= (spec.box[i] + spec.element_strides[i] - 1) / spec.element_strides[i];
  }
  return bytes;
}

// Within the rules, most values at a bound.
TensorMapSpec random_spec(std::mt19937_64& random, const DeviceBuffer& buffer) {
  TensorMapSpec spec;
  spec.type = pick(random, {DType::kF32, DType::kF16, DType::kBF16, DType::kE4M3, DType::kI32});
  spec.rank = 1 + static_cast<std::uint32_t>(random() % TensorMapSpec::kMaxRank);
  spec.address = buffer.as<char>() + 16 * (random() % 1000);
  spec.swizzle = static_cast<Swizzle>(random() % 4);
  const auto chunk = static_cast<std::uint32_t>(16 / bytes_of(spec.type));
  std::uint64_t stride = 16 * (1 + random() % 64);
  for (std::size_t i = 0; i < spec.rank; ++i) {
    spec.sizes[i] = pick<std::uint64_t>(random, {1, 7, 64, 4096});
    spec.box[i] = pick<std::uint32_t>(random, {1, 3, 64, 256});
    if (i != 0) spec.element_strides[i] = pick<std::uint32_t>(random, {1, 1, 2, 8});
    if (i + 1 == spec.rank) continue;
    spec.strides[i] = stride;
    stride *= pick<std::uint64_t>(random, {1, 2, 33});
  }
  const std::uint32_t widest =
      spec.swizzle == Swizzle::kNone ? 256 / chunk : 1U << static_cast<unsigned>(spec.swizzle);
  spec.box[0] = chunk * (1 + static_cast<std::uint32_t>(random() % widest));
  spec.l2_promotion = static_cast<L2Promotion>(random() % 4);
  const bool is_float = spec.type != DType::kE4M3 && spec.type != DType::kI32;
  if (is_float && random() % 2 == 0) spec.out_of_bounds = OutOfBounds::kNaN;
  for (std::size_t i = spec.rank - 1; i != 0 && bytes_of_box(spec) > 232'448; --i) spec.box[i] = 1;
  return spec;
}

TEST_CASE("the driver takes whatever keeps the rules", "[tensor_map]") {
  std::mt19937_64 random(run_seed());
  const DeviceBuffer buffer(driver(), 1 << 20);
  for (int i = 0; i < 20'000; ++i) {
    const TensorMapSpec spec = random_spec(random, buffer);
    REQUIRE_NOTHROW(check_tensor_map(spec));
    REQUIRE_NOTHROW(encode_tensor_map(driver(), spec));
  }
}

double ns_per_call(int calls, const auto& call) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
             .count() /
         calls;
}

TEST_CASE("a map of a known spec has the same bits, in less time than the driver's",
          "[tensor_map]") {
  RuntimeFixture fixture;
  Runtime& runtime = fixture.runtime();
  const DeviceBuffer buffer(driver(), 1 << 20);
  const TensorMapSpec spec = rows_of(buffer);
  const TensorMapBits fresh = encode_tensor_map(driver(), spec);
  CHECK(make_tensor_map(runtime, spec).words == fresh.words);
  CHECK(make_tensor_map(runtime, spec).words == fresh.words);
  const double known = ns_per_call(100'000, [&] { make_tensor_map(runtime, spec); });
  const double asked = ns_per_call(10'000, [&] { encode_tensor_map(driver(), spec); });
  WARN("tensor map: " << known << " ns known, " << asked << " ns by the driver");
  CHECK(known < asked);
}

TEST_CASE("a map is made while a stream is captured", "[tensor_map]") {
  RuntimeFixture fixture;
  DeviceBuffer buffer(driver(), 1 << 20);
  const StreamOwner stream(driver());
  StreamCapture capture(driver(), stream.get());
  buffer.fill_async(1, stream.get());
  make_tensor_map(fixture.runtime(), rows_of(buffer));
  buffer.fill_async(2, stream.get());
  const GraphExec graph = capture.finish();
  graph.launch(stream.get());
  stream.synchronize();
  CHECK(buffer.to_vector<unsigned char>().back() == 2);
}

}  // namespace
}  // namespace jit::test
