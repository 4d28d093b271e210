#include "compile/cubin_check.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "compile/compile_fixture.hpp"

namespace jit {
namespace {

using testing::compiler_at_hand;
using testing::CopyRequest;

constexpr Arch kSm90{9, 0, 0};
constexpr Arch kSm90a{9, 0, 'a'};

const std::vector<std::byte>& cubin_for(Arch arch) {
  static std::vector<std::pair<Arch, std::vector<std::byte>>> made;
  for (const auto& [made_arch, cubin] : made) {
    if (made_arch == arch) return cubin;
  }
  CopyRequest copy;
  CompileRequest request = copy.get();
  request.arch = arch;
  made.emplace_back(arch, compiler_at_hand().compile(request).cubin);
  return made.back().second;
}

TEST_CASE("a cubin says what it is") {
  const CubinCheck check = check_cubin(cubin_for(kSm90a), kSm90a, "copy_kernel");
  INFO(check.reason);
  REQUIRE(check);
  CHECK(check.facts->arch == kSm90a);
  CHECK(check.facts->params_bytes == 24);
  CHECK(check.facts->param_count == 1);
  CHECK(check.facts->max_threads == 192);
}

TEST_CASE("parameters that are aligned to more than where they begin have their own size") {
  for (const int align : {8, 16, 32, 64, 128}) {
    for (const Arch arch : {Arch{8, 0, 0}, kSm90a}) {
      CopyRequest copy;
      const std::string alignment = "struct alignas(" + std::to_string(align) + ") Params {";
      copy.header.replace(copy.header.find("struct Params {"), 15, alignment);
      CompileRequest request = copy.get();
      request.arch = arch;
      const auto cubin = compiler_at_hand().compile(request).cubin;
      const CubinCheck check = check_cubin(cubin, arch, "copy_kernel");
      CAPTURE(align, arch.text(), check.reason);
      REQUIRE(check);
      const int expected = (24 + align - 1) / align * align;
      CHECK(check.facts->params_bytes == static_cast<std::uint32_t>(expected));
    }
  }
}

TEST_CASE("every architecture that NVRTC knows is told from the others") {
  const CompilerRelease release = compiler_at_hand().location().id.release;
  const std::vector<Arch> archs = known_archs(release);
  REQUIRE(archs.size() > 1);
  for (const Arch made : archs) {
    // CUDA 13 makes nothing below 7.5, and the oldest take long to no purpose.
    for (const Arch asked : archs) {
      CAPTURE(made.text(), asked.text());
      const CubinCheck check = check_cubin(cubin_for(made), asked, "copy_kernel");
      INFO(check.reason);
      CHECK(check.facts.has_value() == (made == asked));
    }
  }
}

TEST_CASE("the wrong architecture and symbol are named") {
  const auto& cubin = cubin_for(kSm90a);
  CHECK(check_cubin(cubin, kSm90, "copy_kernel").reason == "made for sm_90a, not sm_90");
  CHECK(check_cubin(cubin, {8, 0, 0}, "copy_kernel").reason == "made for sm_90a, not sm_80");
  CHECK(check_cubin(cubin, kSm90a, "copy").reason == "no kernel copy");
  CHECK(check_cubin(cubin, kSm90a, "").reason == "no kernel ");
}

TEST_CASE("what is no cubin is refused") {
  CHECK(check_cubin({}, kSm90a, "k").reason == "truncated");
  CHECK(check_cubin(std::vector<std::byte>(4096), kSm90a, "k").reason == "no ELF image");
  std::vector<std::byte> other = cubin_for(kSm90a);
  other[18] = std::byte{62};  // e_machine: x86-64
  CHECK(check_cubin(other, kSm90a, "copy_kernel").reason == "not made for CUDA");
}

TEST_CASE("no truncation passes") {
  const auto& cubin = cubin_for(kSm90a);
  for (std::size_t length = 0; length < cubin.size(); ++length) {
    // A copy of exactly that length, so that a sanitizer sees a read past it.
    const std::vector<std::byte> part(cubin.begin(),
                                      cubin.begin() + static_cast<std::ptrdiff_t>(length));
    if (check_cubin(part, kSm90a, "copy_kernel")) FAIL("length " << length << " passed");
  }
}

TEST_CASE("any damage gets an answer") {
  const auto& cubin = cubin_for(kSm90a);
  std::mt19937 random(20'260'101);
  std::vector<std::byte> damaged = cubin;
  std::size_t refused = 0;
  // Every byte of the header and section table, where a wrong number does most.
  for (std::size_t at = 0; at < cubin.size(); ++at) {
    for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0xffU}) {
      damaged[at] = static_cast<std::byte>(value);
      if (!check_cubin(damaged, kSm90a, "copy_kernel")) ++refused;
    }
    damaged[at] = cubin[at];
  }
  for (int round = 0; round < 20'000; ++round) {
    damaged = cubin;
    for (unsigned flips = 1 + random() % 16; flips > 0; --flips) {
      damaged[random() % damaged.size()] = static_cast<std::byte>(random() & 0xffU);
    }
    damaged.resize(random() % 8 == 0 ? random() % damaged.size() : damaged.size());
    if (!check_cubin(damaged, kSm90a, "copy_kernel")) ++refused;
  }
  CHECK(refused > 1000);
}

TEST_CASE("an image may start at any address") {
  const auto& cubin = cubin_for(kSm90a);
  for (std::size_t offset = 1; offset < 8; ++offset) {
    std::vector<std::byte> moved(cubin.size() + offset);
    std::copy(cubin.begin(), cubin.end(), moved.begin() + static_cast<std::ptrdiff_t>(offset));
    const CubinCheck check = check_cubin(std::span(moved).subspan(offset), kSm90a, "copy_kernel");
    INFO(check.reason);
    CHECK(check);
  }
}

}  // namespace
}  // namespace jit
