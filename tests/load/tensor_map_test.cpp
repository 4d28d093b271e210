#include "load/tensor_map.hpp"

#include <atomic>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "load/load_fixture.hpp"
#include "load/tensor_map_cache.hpp"
#include "support/fake_tensor_map.hpp"

namespace jit {
namespace {

using testing::FakeMachine;
using testing::FakeTensorMap;

const void* at(std::uintptr_t address) { return reinterpret_cast<const void*>(address); }

// Keys of a paged cache: three dimensions, of which two have strides of their own.
TensorMapSpec pages() {
  TensorMapSpec spec;
  spec.type = DType::kE4M3;
  spec.rank = 3;
  spec.address = at(0x7000'0000'0010);
  spec.sizes = {128, 64, 1000};
  spec.strides = {128, 8448};
  spec.box = {128, 64, 1};
  spec.swizzle = Swizzle::k128Bytes;
  return spec;
}

// What check_tensor_map says; empty if nothing.
std::string refusal_of(const TensorMapSpec& spec) {
  try {
    check_tensor_map(spec);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

using Change = std::function<void(TensorMapSpec&)>;

TEST_CASE("each rule of a tensor map is refused by name, with its value and a remedy") {
  struct Row {
    Change change;
    const char* says;
  };
  const std::vector<Row> rows{
      {[](auto& s) { s.rank = 0; }, "rank is 0; expected 1 to 5"},
      {[](auto& s) { s.rank = 6; }, "rank is 6; expected 1 to 5"},
      {[](auto& s) { s.address = nullptr; }, "address is null; give device memory"},
      {[](auto& s) { s.address = at(0x1008); }, "address is 0x1008; expected one that 16 divides"},
      {[](auto& s) { s.sizes[2] = 0; }, "sizes[2] is 0; expected 1 to 2^32"},
      {[](auto& s) { s.sizes[1] = (1ULL << 32) + 1; }, "sizes[1] is 4294967297; expected 1 to"},
      {[](auto& s) { s.strides[1] = 8440; },
       "strides[1] (of dimension 2) is 8440 bytes; expected a multiple of 16 below 2^40"},
      {[](auto& s) { s.strides[0] = 1ULL << 40; }, "strides[0] (of dimension 1) is 1099511627776"},
      {[](auto& s) { s.box[1] = 0; }, "box[1] is 0; expected 1 to 256"},
      {[](auto& s) { s.box[1] = 257; }, "box[1] is 257; expected 1 to 256"},
      {[](auto& s) { s.box[0] = 120; }, "box[0] is 120 elements of e4m3, which are 120 bytes"},
      {[](auto& s) { s.swizzle = Swizzle::k64Bytes; },
       "box[0] is 128 bytes wide, but the swizzle spans 64"},
      {[](auto& s) { s.type = DType::kBF16; },
       "box[0] is 256 bytes wide, but the swizzle spans 128"},
      {[](auto& s) {
         s.box = {128, 256, 8};
       },
       "the box takes 262144 bytes; expected at most 232448"},
      {[](auto& s) { s.element_strides[1] = 9; }, "element_strides[1] is 9; expected 1 to 8"},
      {[](auto& s) { s.element_strides[2] = 0; }, "element_strides[2] is 0; expected 1 to 8"},
      {[](auto& s) { s.element_strides[0] = 2; }, "the hardware takes no other in dimension 0"},
      {[](auto& s) { s.out_of_bounds = OutOfBounds::kNaN; }, "NaN for a tensor of e4m3"},
      {[](auto& s) { s.type = static_cast<DType>(8); }, "type is 8; expected 0 to 7"},
      {[](auto& s) { s.swizzle = static_cast<Swizzle>(4); }, "swizzle is 4; expected 0 to 3"},
      {[](auto& s) { s.l2_promotion = static_cast<L2Promotion>(4); }, "l2_promotion is 4"},
      {[](auto& s) { s.out_of_bounds = static_cast<OutOfBounds>(2); }, "out_of_bounds is 2"},
  };
  for (const Row& row : rows) {
    TensorMapSpec spec = pages();
    row.change(spec);
    const std::string text = refusal_of(spec);
    CAPTURE(text, row.says);
    CHECK(text.starts_with("make tensor map: "));
    CHECK(text.find(row.says) != std::string::npos);
  }
}

TEST_CASE("what is just within the rules is taken, and dimensions beyond the rank say nothing") {
  const std::vector<Change> changes{
      [](auto&) {},
      [](auto& s) {
        s.sizes = {1ULL << 32, 1ULL << 32, 1ULL << 32};
      },
      [](auto& s) {
        s.strides = {(1ULL << 40) - 16, 0};
      },
      [](auto& s) {
        s.box = {16, 256, 56};
      },
      [](auto& s) {
        s.element_strides = {1, 8, 8, 0, 99};
      },
      [](auto& s) {
        s.rank = 1;
        s.sizes = {1};
        s.strides = {};
        s.box = {16};
      },
      [](auto& s) {
        s.type = DType::kF32;
        s.box[0] = 256;
        s.swizzle = Swizzle::kNone;
        s.out_of_bounds = OutOfBounds::kNaN;
      },
  };
  for (const Change& change : changes) {
    TensorMapSpec spec = pages();
    change(spec);
    CHECK(refusal_of(spec).empty());
  }
}

template <class T>
T pick(std::mt19937_64& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

// A spec of values around every bound.
TensorMapSpec random_spec(std::mt19937_64& random) {
  TensorMapSpec spec;
  spec.type = pick(random, {DType::kF32, DType::kF16, DType::kBF16, DType::kE4M3, DType::kE5M2,
                            DType::kI32, DType::kI8, DType::kU8});
  spec.rank = pick<std::uint32_t>(random, {0, 1, 2, 2, 3, 3, 4, 4, 5, 6});
  spec.address = at(pick<std::uintptr_t>(random, {0x1000, 0x1010, 0x10'0000'0000, 0x1000, 0x1004}));
  for (std::size_t i = 0; i < TensorMapSpec::kMaxRank; ++i) {
    const bool often = random() % 16 != 0;
    spec.sizes[i] = often ? 1 + random() % 5000 : pick<std::uint64_t>(random, {0, 1ULL << 32});
    spec.box[i] = often ? 16U << random() % 4 : pick<std::uint32_t>(random, {0, 8, 24, 256, 257});
    spec.element_strides[i] = i == 0 || often ? 1 : pick<std::uint32_t>(random, {0, 2, 8, 9});
    if (i + 1 == TensorMapSpec::kMaxRank) continue;
    spec.strides[i] = often ? 16 * (random() % 5000)
                            : pick<std::uint64_t>(random, {8, 1ULL << 40, (1ULL << 40) - 16});
  }
  spec.swizzle = static_cast<Swizzle>(random() % 4);
  spec.l2_promotion = static_cast<L2Promotion>(random() % 4);
  spec.out_of_bounds = random() % 8 == 0 ? OutOfBounds::kNaN : OutOfBounds::kZero;
  return spec;
}

void check_written(const TensorMapSpec& spec, const FakeTensorMap& map) {
  CHECK(map.address == reinterpret_cast<std::uintptr_t>(spec.address));
  CHECK(map.rank == spec.rank);
  for (std::size_t i = 0; i < spec.rank; ++i) {
    CHECK(map.sizes[i] == spec.sizes[i]);
    CHECK(map.box[i] == spec.box[i]);
    CHECK(map.element_strides[i] == spec.element_strides[i]);
    if (i + 1 < spec.rank) CHECK(map.strides[i] == spec.strides[i]);
  }
  CHECK(map.swizzle == static_cast<int>(spec.swizzle));
  CHECK(map.promotion == static_cast<int>(spec.l2_promotion));
  CHECK(map.fill == static_cast<int>(spec.out_of_bounds));
  CHECK((map.type <= 3) == (spec.type != DType::kF32 && bytes_of(spec.type) != 2));
}

TEST_CASE("whatever passes is encoded as asked, whatever is refused the driver refuses") {
  FakeMachine machine;
  machine.driver().initialise();
  std::mt19937_64 random(Catch::getSeed());
  int taken = 0;
  constexpr int kSpecs = 4000;
  for (int i = 0; i < kSpecs; ++i) {
    const TensorMapSpec spec = random_spec(random);
    const std::string refusal = refusal_of(spec);
    CAPTURE(refusal);
    if (refusal.empty()) {
      ++taken;
      // The driver asks for alignment, also where nobody keeps the map.
      CHECK_NOTHROW(encode_tensor_map(machine.driver(), spec));
      check_written(spec,
                    FakeTensorMap::read(encode_tensor_map(machine.driver(), spec).words.data()));
    } else {
      CHECK_THROWS_AS(encode_tensor_map(machine.driver(), spec), Error);
    }
  }
  CHECK(taken > kSpecs / 20);
  CHECK(taken < kSpecs * 19 / 20);
}

TEST_CASE("what the driver refuses all the same is told with the spec") {
  FakeMachine machine;
  machine.driver().initialise();
  machine.fake.fail("cuTensorMapEncodeTiled", 1);
  std::string text;
  try {
    encode_tensor_map(machine.driver(), pages());
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kDriver);
    text = error.what();
  }
  CHECK(text ==
        "make tensor map of e4m3 at 0x700000000010, sizes [128, 64, 1000], strides [128, 8448], "
        "box [128, 64, 1], element strides [1, 1, 1], swizzle 128 bytes: cuTensorMapEncodeTiled: "
        "CUDA_ERROR_INVALID_VALUE (made up)");
}

TEST_CASE("two specs have one key exactly if they are equal") {
  const std::vector<Change> changes{
      [](auto& s) { s.type = DType::kU8; },
      [](auto& s) { s.rank = 2; },
      [](auto& s) { s.rank = 7; },
      [](auto& s) { s.address = at(0x7000'0000'0020); },
      [](auto& s) { ++s.sizes[0]; },
      [](auto& s) { ++s.sizes[1]; },
      [](auto& s) { ++s.sizes[2]; },
      [](auto& s) { s.strides[0] += 16; },
      [](auto& s) { s.strides[1] += 16; },
      [](auto& s) { ++s.box[0]; },
      [](auto& s) { ++s.box[1]; },
      [](auto& s) { ++s.box[2]; },
      [](auto& s) { ++s.element_strides[0]; },
      [](auto& s) { ++s.element_strides[1]; },
      [](auto& s) { ++s.element_strides[2]; },
      [](auto& s) { s.swizzle = Swizzle::kNone; },
      [](auto& s) { s.l2_promotion = L2Promotion::kNone; },
      [](auto& s) { s.out_of_bounds = OutOfBounds::kNaN; },
      [](auto& s) { s.sizes[4] = 1; },
      [](auto& s) { s.strides[3] = 16; },
      [](auto& s) { s.box[4] = 1; },
      [](auto& s) { s.element_strides[4] = 2; },
  };
  std::set<TensorMapKey> keys{key_of(pages())};
  for (const Change& change : changes) {
    TensorMapSpec spec = pages();
    change(spec);
    CHECK(keys.insert(key_of(spec)).second);
  }
}

// A key, and the map that belongs to it and to no other.
TensorMapKey key_number(std::uint64_t i) {
  TensorMapSpec spec = pages();
  spec.address = at(0x7000'0000'0000 + i * 4096);
  return key_of(spec);
}
TensorMapBits map_number(std::uint64_t i) {
  TensorMapBits map;
  map.words.fill(i);
  return map;
}

TEST_CASE("a cache gives back what it kept, the newest first, and keeps no more than it may") {
  TensorMapCache cache;
  CHECK(!cache.find(key_number(0)));
  constexpr std::uint64_t kMany = 5000;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    cache.keep(key_number(i), map_number(i));
    const auto found = cache.find(key_number(i));
    REQUIRE(found);
    CHECK(found->words == map_number(i).words);
  }
  std::size_t kept = 0;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    const auto found = cache.find(key_number(i));
    if (!found) continue;
    ++kept;
    CHECK(found->words == map_number(i).words);
  }
  constexpr std::size_t kRoom = TensorMapCache::kSets * TensorMapCache::kWays;
  CHECK(kept <= kRoom);
  CHECK(kept > kRoom * 9 / 10);
}

TEST_CASE("maps of a model's layers stay, whatever else comes between a few at a time") {
  TensorMapCache cache;
  // A hundred caches, and as many queries: their sets are filled about evenly.
  constexpr std::uint64_t kMaps = 200;
  for (std::uint64_t i = 0; i < kMaps; ++i) cache.keep(key_number(i * 65'536), map_number(i));
  std::uint64_t kept = 0;
  for (std::uint64_t i = 0; i < kMaps; ++i) kept += cache.find(key_number(i * 65'536)) ? 1U : 0U;
  CHECK(kept > kMaps * 9 / 10);
}

TEST_CASE("threads that share a cache get their own map or none") {
  TensorMapCache cache;
  std::atomic<int> wrong{0};
  std::atomic<int> found{0};
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      for (int turn = 0; turn < 20'000; ++turn) {
        const std::uint64_t i = random() % 700;
        if (const auto map = cache.find(key_number(i))) {
          found.fetch_add(1);
          if (map->words != map_number(i).words) wrong.fetch_add(1);
        } else {
          cache.keep(key_number(i), map_number(i));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(found > 0);
}

}  // namespace
}  // namespace jit
