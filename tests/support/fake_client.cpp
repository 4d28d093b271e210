#include <dlfcn.h>

#include <cstring>
#include <stdexcept>

#include "support/fake_driver.hpp"
#include "support/fake_image.hpp"

namespace jit::testing {

FakeCuda& FakeCuda::of(const char* path) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  void* control = ::dlsym(library, "fake_cuda_control");
  if (control == nullptr) throw std::runtime_error("not the fake driver");
  return *static_cast<FakeCuda*>(reinterpret_cast<void* (*)()>(control)());
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
