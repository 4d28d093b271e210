// What is thrown inside stays inside.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

#include "c_abi/c_abi_fixture.hpp"
#include "c_abi/guard.hpp"

extern "C" const char __executable_start;  // NOLINT: the linker's names
extern "C" const char etext;               // NOLINT

namespace {
// Allocations of this thread that still succeed; negative: all do.
thread_local int allocations_left = -1;

// Those of the code under test: the fake driver, a library of its own, has memory enough.
bool is_ours(const void* caller) { return caller >= &__executable_start && caller < &etext; }
}  // namespace

// NOLINTBEGIN: replaced for the whole executable.
__attribute__((noinline)) void* operator new(std::size_t size) {
  if (allocations_left >= 0 && is_ours(__builtin_return_address(0))) {
    if (allocations_left == 0) throw std::bad_alloc();
    --allocations_left;
  }
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// Whoever asks this way lives without; a sanitizer's own would not go with the deletes below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
// NOLINTEND

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;

TEST_CASE("an error becomes its status, with message, log and reproduction") {
  const auto status = c_abi::guarded(
      [] { throw Error(ErrorCode::kCompileFailed, "compile it: no", "line 1\n", "/tmp/it.cu"); });
  CHECK(status == CUBINET_COMPILE_FAILED);
  CHECK(std::string_view(cubinet_last_error()) == "compile it: no");
  CHECK(std::string_view(cubinet_last_error_log()) == "line 1\n");
  CHECK(std::string_view(cubinet_last_error_reproduction()) == "/tmp/it.cu");
  CHECK(c_abi::guarded([] {}) == CUBINET_OK);
  CHECK(last_error_says("compile it: no"));  // a success forgets nothing
}

TEST_CASE("whatever else is thrown is an internal error") {
  CHECK(c_abi::guarded([] { throw std::runtime_error("odd"); }) == CUBINET_INTERNAL);
  CHECK(last_error_says("call cubinet: odd"));
  CHECK(c_abi::guarded([] { throw 7; }) == CUBINET_INTERNAL);
  CHECK(last_error_says("something unknown was thrown"));
  CHECK(c_abi::guarded([] { throw std::bad_alloc(); }) == CUBINET_INTERNAL);
  CHECK(last_error_says("out of memory"));
  CHECK(std::string_view(cubinet_last_error_log()).empty());
  CHECK(c_abi::guarded([] { throw Error(ErrorCode::kIo, "again"); }) == CUBINET_IO);
  CHECK(last_error_says("again"));
}

TEST_CASE("an error that cannot be kept for want of memory says so") {
  allocations_left = -1;
  const Error error(ErrorCode::kIo, std::string(1000, 'x'));
  std::thread([&] {  // a thread that has kept no error yet
    const auto status = c_abi::guarded([&] {
      allocations_left = 0;
      throw error;  // NOLINT: made while there was memory
    });
    allocations_left = -1;
    CHECK(status == CUBINET_INTERNAL);
    CHECK(last_error_says("out of memory"));
  })
      .join();
}

TEST_CASE("each thread has a last error of its own") {
  CHECK(cubinet_runtime_create(nullptr, nullptr) == CUBINET_INVALID_ARGUMENT);
  std::string other = "unset";
  std::thread([&] { other = cubinet_last_error(); }).join();
  CHECK(other.empty());
  CHECK(last_error_says("call cubinet_runtime_create: runtime is NULL; give a valid pointer"));
}

TEST_CASE("every status has the name of its error code") {
  CHECK(std::string_view(cubinet_status_name(CUBINET_OK)) == "ok");
  CHECK(std::string_view(cubinet_status_name(CUBINET_COMPILE_FAILED)) == "compile_failed");
  CHECK(std::string_view(cubinet_status_name(CUBINET_UNSTABLE_SIGNATURE)) == "unstable_signature");
  // The first code that has no number here: a new one in jit::ErrorCode gets one in c.h too.
  CHECK(name_of(static_cast<ErrorCode>(CUBINET_UNSTABLE_SIGNATURE)) == "unknown");
  CHECK(std::string_view(cubinet_status_name(CUBINET_UNSTABLE_SIGNATURE + 1)) == "unknown");
  CHECK(std::string_view(cubinet_status_name(-1)) == "unknown");
}

// Runs `call` with 0, 1, 2, ... allocations to spare, until it succeeds.
template <class Call>
int fails_cleanly_until_it_succeeds(const Call& call) {
  for (int spare = 0; spare < 5000; ++spare) {
    allocations_left = spare;
    const cubinet_status status = call();
    allocations_left = -1;
    if (status == CUBINET_OK) return spare;
    CAPTURE(spare, cubinet_last_error());
    CHECK(cubinet_last_error()[0] != '\0');
  }
  FAIL("it never succeeded");
  return 0;
}

TEST_CASE("no allocation that fails lets an exception out, and all works afterwards") {
  CScene scene;
  cubinet_runtime* runtime = nullptr;
  CHECK(fails_cleanly_until_it_succeeds(
            [&] { return cubinet_runtime_create(&scene.c_options, &runtime); }) > 5);
  const cubinet_kernel* kernel = nullptr;
  // A shipped template: the JSON library's own destructor allocates, so that a manifest that is
  // read while memory runs out ends the process.
  const cubinet_constant constants[] = {cubinet_int("HEAD_SIZE", 128),
                                        cubinet_text("INPUT_TYPE", "bf16")};
  scene.request.name = "merge_attn_states";
  scene.request.constants = constants;
  scene.request.constant_count = 2;
  scene.kernel();  // on disk from here on: the compiler is not what is tested
  CHECK(fails_cleanly_until_it_succeeds(
            [&] { return cubinet_get_kernel(runtime, &scene.request, &kernel); }) > 5);
  REQUIRE(kernel != nullptr);
  cubinet_constant constant{};
  CHECK(fails_cleanly_until_it_succeeds(
            [&] { return cubinet_kernel_constant(kernel, "INPUT_TYPE", &constant); }) >= 1);
  CHECK(std::string_view(constant.name) == "INPUT_TYPE");
  // Hits in memory allocate nothing.
  CHECK(fails_cleanly_until_it_succeeds(
            [&] { return cubinet_get_kernel(runtime, &scene.request, &kernel); }) == 0);
  cubinet_runtime_destroy(runtime);
}

}  // namespace
}  // namespace jit
