// Counts what a hit in memory asks of the system: nothing.
#include <dlfcn.h>
#include <pthread.h>

#include <cstdlib>
#include <new>

#include "runtime/runtime_fixture.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define JIT_TEST_COUNTS 1

namespace {
thread_local bool counting = false;
thread_local int allocations = 0;
thread_local int locks = 0;
thread_local int look_ups = 0;
}  // namespace

void* operator new(std::size_t size) {
  if (counting) ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// Not inlined: the compiler would take malloc and free for a mismatch with other operators.
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const auto real = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (counting) ++locks;
  return real(mutex);
}

extern "C" char* secure_getenv(const char* name) noexcept {
  using Find = char* (*)(const char*);
  static const auto real = reinterpret_cast<Find>(::dlsym(RTLD_NEXT, "secure_getenv"));
  if (counting) ++look_ups;
  return real(name);
}
#endif

namespace jit {
namespace {

using testing::Scene;

#ifdef JIT_TEST_COUNTS

TEST_CASE("a hit in memory takes no lock, allocates nothing and asks no environment") {
  Scene scene;
  scene.options.record_file = scene.directory / "r.jsonl";
  // No context is current here, so that the driver, which may do as it likes, has nothing to do.
  Runtime runtime(scene.options);
  const auto get = [&](std::int64_t tokens) {
    return runtime.get_kernel("tiny",
                              {{"SIZE", 128},
                               {"ELEMENT_TYPE_OF_INPUT", "i32"},
                               {"FLAG", true},
                               {"ORDER", "column_major"},
                               {"THREADS", 64},
                               {"STAGES", 2}},
                              {{"num_tokens", tokens}, {"batch", 3}}, {.device = 0});
  };
  const Kernel kernel = get(1);
  counting = true;
  Kernel again;
  for (int tokens = 1; tokens <= 64; ++tokens) again = get(tokens);
  counting = false;
  CHECK(again == kernel);
  CHECK(allocations == 0);
  CHECK(locks == 0);
  CHECK(look_ups == 0);
}

TEST_CASE("a tensor map of a known spec takes no lock and allocates nothing") {
  Scene scene;
  Runtime runtime(scene.options);
  TensorMapSpec spec;
  spec.address = reinterpret_cast<const void*>(0x1000);
  spec.sizes[0] = spec.box[0] = 128;
  const TensorMapBits first = make_tensor_map(runtime, spec);
  counting = true;
  TensorMapBits again;
  for (int i = 0; i < 64; ++i) again = make_tensor_map(runtime, spec);
  counting = false;
  CHECK(again.words == first.words);
  CHECK(scene.fake.calls("cuTensorMapEncodeTiled") == 1);
  CHECK(allocations == 0);
  CHECK(locks == 0);
}

TEST_CASE(
    "a constant of a kernel, which every launch of a front end asks for, is found by comparing") {
  Scene scene;
  Runtime runtime(scene.options);
  const KernelInfo& info =
      runtime.get_kernel("tiny", {{"SIZE", 128}, {"STAGES", 2}}, {}, {.device = 0}).info();
  REQUIRE(info.constants.back().name == "STAGES");
  counting = true;
  std::int64_t stages = 0;
  for (int i = 0; i < 64; ++i) stages = info.constant("STAGES").as_int();
  counting = false;
  CHECK(stages == 2);
  CHECK(allocations == 0);
}

TEST_CASE("the counters of the cases above do count") {
  counting = true;
  { const std::string text(100, 'x'); }
  std::mutex mutex;
  { const std::lock_guard lock(mutex); }
  counting = false;
  CHECK(allocations > 0);
  CHECK(locks > 0);
}

#endif

}  // namespace
}  // namespace jit
