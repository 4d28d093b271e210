// The table of src/signature/arch.cpp against what each release says when it is asked.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "compile/nvrtc.hpp"
#include "tools/toolchains_fixture.hpp"

namespace jit {
namespace {

using testing::FetchedNvrtc;
using testing::releases;

// Compute capabilities before it are older than anything here.
constexpr int kFirst = 70;
constexpr int kLast = 139;

bool accepts(const Nvrtc& nvrtc, const Arch& arch) {
  NvrtcProgram program = nullptr;
  nvrtc.create(&program, "extern \"C\" __global__ void kernel() {}", "kernel.cu", 0, nullptr,
               nullptr);
  const NvrtcProgramOwner owner(nvrtc, program);
  const std::string option = "--gpu-architecture=" + arch.text();
  const char* options[] = {option.c_str()};
  return nvrtc.compile(program, 1, options) == kNvrtcSuccess;
}

// "80 86 ... | sm_80 sm_90 sm_90a ...": what the release lists, and what it compiles for.
std::string ask(const ToolchainLocation& location) {
  const Nvrtc nvrtc = Nvrtc::load(location);
  void* library = ::dlopen(location.nvrtc.c_str(), RTLD_NOW | RTLD_NOLOAD);
  const auto count = reinterpret_cast<int (*)(int*)>(::dlsym(library, "nvrtcGetNumSupportedArchs"));
  const auto list = reinterpret_cast<int (*)(int*)>(::dlsym(library, "nvrtcGetSupportedArchs"));
  int size = 0;
  count(&size);
  std::vector<int> numbers(static_cast<std::size_t>(size));
  list(numbers.data());
  std::string text;
  for (const int number : numbers) {
    if (number >= kFirst) text += std::to_string(number) + " ";
  }
  text += "| ";
  for (int number = kFirst; number <= kLast; ++number) {
    for (const char suffix : {'\0', 'a', 'f'}) {
      const Arch arch{static_cast<std::uint8_t>(number / 10),
                      static_cast<std::uint8_t>(number % 10), suffix};
      if (accepts(nvrtc, arch)) text += arch.text() + " ";
    }
  }
  return text;
}

std::string table(CompilerRelease release) {
  std::string numbers;
  std::string names;
  for (const Arch& arch : known_archs(release)) {
    if (arch.suffix == 0) numbers += std::to_string(arch.number()) + " ";
    names += arch.text() + " ";
  }
  return numbers + "| " + names;
}

// In a process of its own: one process holds one NVRTC of a soname.
std::string ask_apart(const ToolchainLocation& location) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string text = ask(location);
    const bool sent =
        ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(sent ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  return text;
}

TEST_CASE("each release compiles for exactly the architectures that the table has",
          "[.toolchains]") {
  for (const FetchedNvrtc& nvrtc : releases()) {
    CAPTURE(nvrtc.version);
    CHECK(ask_apart(nvrtc.location) == table(nvrtc.release()));
  }
}

}  // namespace
}  // namespace jit
