#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <stdexcept>

#include "support/fake_driver.hpp"
#include "support/fake_image.hpp"

namespace jit::testing {
namespace {

std::atomic<FakeCuda*> opened{nullptr};

// Put in place before the library's own handlers, so that it locks after them: threads come to the
// fake driver with the library's locks, and nobody with its own to the library's.
__attribute__((constructor(101))) void watch_forks() {
  const auto after = [] {
    if (FakeCuda* fake = opened) fake->after_fork();
  };
  ::pthread_atfork(
      [] {
        if (FakeCuda* fake = opened) fake->before_fork();
      },
      after, after);
}

}  // namespace

FakeCuda& FakeCuda::of(const char* path) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  void* control = ::dlsym(library, "fake_cuda_control");
  if (control == nullptr) throw std::runtime_error("not the fake driver");
  auto* const fake = static_cast<FakeCuda*>(reinterpret_cast<void* (*)()>(control)());
  opened = fake;
  return *fake;
}

std::vector<std::byte> make_fake_image(const FakeImage& image) {
  FakeHeader header{};
  std::memcpy(header.magic, kFakeMagic.data(), kFakeMagic.size());
  header.arch_number = image.arch_number;
  header.arch_suffix = image.arch_suffix;
  image.symbol.copy(header.symbol, sizeof header.symbol - 1);
  header.params_bytes = image.params_bytes;
  header.static_smem_bytes = image.static_smem_bytes;
  header.max_threads = image.max_threads;
  std::vector<std::byte> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

}  // namespace jit::testing
