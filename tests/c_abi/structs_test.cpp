// Programs and libraries of different releases.
#include "c_abi/structs.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "c_abi/c_abi_fixture.hpp"

namespace jit {
namespace {

using testing::last_error_says;

// A struct that has grown by one field since it was first released.
struct Grown {
  std::size_t struct_bytes;
  std::int64_t first;
  std::int64_t later;
};
constexpr c_abi::StructLayout kGrown{"cubinet_grown", 16, sizeof(Grown)};

// The Grown that is read from the words of a program's struct.
Grown read(std::initializer_list<std::uint64_t> words) {
  std::array<std::uint64_t, 8> memory{};
  std::copy(words.begin(), words.end(), memory.begin());
  memory[0] = words.size() * 8;
  Grown copy{};
  c_abi::read_struct_slowly(kGrown, memory.data(), &copy);
  return copy;
}

TEST_CASE("the struct of an older program is taken, and its missing tail is zero") {
  const Grown grown = read({0, 7});
  CHECK(grown.first == 7);
  CHECK(grown.later == 0);
}

TEST_CASE("the struct of a newer program is taken while it asks nothing new") {
  const Grown grown = read({0, 7, 8, 0, 0});
  CHECK(grown.first == 7);
  CHECK(grown.later == 8);
}

TEST_CASE("a field that this library does not know is refused with both sizes") {
  const Error error = testing::error_of([] { read({0, 7, 8, 0, 1}); });
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(testing::contains(error.what(), "the program's has 40 bytes, this library's 24"));
}

TEST_CASE("a struct that was never initialised is refused") {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{8}, std::size_t{5000}, ~std::size_t{0}}) {
    CAPTURE(bytes);
    Grown copy{};
    const Grown given{bytes, 0, 0};
    const Error error =
        testing::error_of([&] { c_abi::read_struct_slowly(kGrown, &given, &copy); });
    CHECK(testing::contains(error.what(), "initialise it with cubinet_grown_init()"));
  }
}

TEST_CASE("what a function fills is as long as the program's struct") {
  const Grown made{sizeof(Grown), 7, 8};
  std::array<std::uint64_t, 5> memory{16, 99, 99, 99, 99};
  c_abi::fill_struct(kGrown, &made, memory.data());
  CHECK(memory == std::array<std::uint64_t, 5>{16, 7, 99, 99, 99});
  memory = {32, 99, 99, 99, 99};
  c_abi::fill_struct(kGrown, &made, memory.data());
  CHECK(memory == std::array<std::uint64_t, 5>{32, 7, 8, 0, 99});
}

// One struct of every kind, larger than the library's, through the real functions.
template <class Struct>
struct Larger {
  Struct known;
  std::int64_t unknown;
};

TEST_CASE("every struct that goes in is read by its size") {
  testing::CScene scene;
  cubinet_runtime* runtime = nullptr;
  Larger<cubinet_runtime_options> options{scene.c_options, 0};
  options.known.struct_bytes = sizeof options;
  REQUIRE(cubinet_runtime_create(&options.known, &runtime) == CUBINET_OK);
  const cubinet_kernel* kernel = nullptr;
  Larger<cubinet_request> request{scene.request, 0};
  request.known.struct_bytes = sizeof request;
  REQUIRE(cubinet_get_kernel(runtime, &request.known, &kernel) == CUBINET_OK);
  Larger<cubinet_launch_config> launch{cubinet_launch_config_init(), 0};
  launch.known.struct_bytes = sizeof launch;
  launch.known.grid = launch.known.block = {1, 1, 1};
  const testing::TinyParams params;
  REQUIRE(cubinet_kernel_launch(kernel, &launch.known, &params, sizeof params) == CUBINET_OK);

  options.unknown = request.unknown = launch.unknown = 1;
  cubinet_runtime* none = runtime;
  CHECK(cubinet_runtime_create(&options.known, &none) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("read cubinet_runtime_options: the program's has "));
  CHECK(none == nullptr);
  CHECK(cubinet_get_kernel(runtime, &request.known, &kernel) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("read cubinet_request: the program's has 72 bytes, this library's 64"));
  CHECK(kernel == nullptr);
  cubinet_runtime_destroy(runtime);
}

TEST_CASE("every struct that comes out is filled by its size") {
  testing::CScene scene;
  Larger<cubinet_stats> stats{cubinet_stats_init(), -1};
  stats.known.struct_bytes = sizeof stats;
  REQUIRE(cubinet_runtime_stats(scene.runtime(), &stats.known) == CUBINET_OK);
  CHECK(stats.unknown == 0);
  CHECK(stats.known.struct_bytes == sizeof stats);
  cubinet_kernel_info info{};
  CHECK(cubinet_kernel_describe(scene.kernel(), &info) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("cubinet_kernel_info: struct_bytes is 0"));
}

}  // namespace
}  // namespace jit
