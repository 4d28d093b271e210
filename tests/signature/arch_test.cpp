#include "signature/arch.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <vector>

#include "jit/error.hpp"

namespace jit {
namespace {

constexpr CompilerRelease k120{12, 0};
constexpr CompilerRelease k128{12, 8};
constexpr CompilerRelease k129{12, 9};
constexpr CompilerRelease k130{13, 0};

std::string chosen(Target target, ComputeCapability capability,
                   std::optional<CompilerRelease> release) {
  try {
    return choose_arch(target, capability, release).text();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnsupportedArch);
    return "";
  }
}

TEST_CASE("an architecture is its text") {
  for (const char* text : {"sm_75", "sm_80", "sm_90", "sm_90a", "sm_100f", "sm_103a", "sm_121f"}) {
    const auto arch = Arch::parse(text);
    REQUIRE(arch);
    CHECK(arch->text() == text);
  }
  CHECK(Arch::parse("sm_103a") == Arch{10, 3, 'a'});
  CHECK(Arch::parse("sm_103a")->number() == 103);
  for (const char* bad : {"", "sm_", "sm_9", "sm_a", "90a", "sm_90b", "sm_90aa", "sm_090",
                          "sm_9000", "sm_-90", "SM_90", "sm_90 ", "compute_90", "sm_90a,sm_80"}) {
    CAPTURE(bad);
    CHECK_FALSE(Arch::parse(bad));
  }
}

TEST_CASE("releases know what their notes say") {
  const auto knows = [](CompilerRelease release, const char* arch) {
    return compiler_knows(release, *Arch::parse(arch));
  };
  CHECK(knows(k120, "sm_90a"));
  CHECK_FALSE(knows(k120, "sm_100"));
  CHECK(knows(k128, "sm_100a"));
  CHECK_FALSE(knows(k128, "sm_100f"));
  CHECK(knows(k129, "sm_100f"));
  CHECK(knows(k129, "sm_70"));
  CHECK_FALSE(knows(k130, "sm_70"));
  CHECK(knows(k129, "sm_101a"));
  CHECK_FALSE(knows(k130, "sm_101a"));
  CHECK(knows(k130, "sm_110a"));
  CHECK_FALSE(knows(k130, "sm_90f"));
  CHECK_FALSE(knows(k130, "sm_80a"));
}

TEST_CASE("the architecture chosen is a function of target, capability and release") {
  CHECK(chosen(Target::kBase, {9, 0}, k120) == "sm_90");
  CHECK(chosen(Target::kFamily, {9, 0}, k120) == "sm_90a");
  CHECK(chosen(Target::kSpecific, {9, 0}, k130) == "sm_90a");
  CHECK(chosen(Target::kSpecific, {8, 0}, k130) == "sm_80");
  CHECK(chosen(Target::kBase, {10, 0}, k120).empty());
  CHECK(chosen(Target::kBase, {10, 0}, k128) == "sm_100");
  CHECK(chosen(Target::kBase, {10, 3}, k128) == "sm_100");
  CHECK(chosen(Target::kBase, {10, 3}, k129) == "sm_103");
  CHECK(chosen(Target::kFamily, {10, 3}, k129) == "sm_103f");
  CHECK(chosen(Target::kFamily, {10, 0}, k128).empty());
  CHECK(chosen(Target::kSpecific, {10, 3}, k129) == "sm_103a");
  CHECK(chosen(Target::kSpecific, {10, 3}, k128).empty());
  CHECK(chosen(Target::kBase, {12, 1}, k128) == "sm_120");
  CHECK(chosen(Target::kFamily, {12, 1}, k130) == "sm_121f");
  CHECK(chosen(Target::kBase, {8, 8}, k129).empty());
  CHECK(chosen(Target::kBase, {8, 7}, k120) == "sm_87");
  CHECK(chosen(Target::kBase, {10, 1}, k130).empty());
  CHECK(chosen(Target::kBase, {7, 0}, k130).empty());
  CHECK(chosen(Target::kSpecific, {9, 0}, std::nullopt) == "sm_90a");
}

TEST_CASE("what is chosen is known, runs, and is the best of its kind") {
  for (const CompilerRelease release : {k120, CompilerRelease{12, 4}, k128, k129, k130}) {
    for (const Arch& device : known_archs(k130)) {
      for (const Target target : {Target::kBase, Target::kFamily, Target::kSpecific}) {
        const std::string text = chosen(target, device.capability(), release);
        if (text.empty()) continue;
        const Arch arch = *Arch::parse(text);
        CAPTURE(text, device.text(), release.minor);
        CHECK(compiler_knows(release, arch));
        CHECK(runs_on(arch, device.capability()));
        for (const Arch& other : known_archs(release)) {
          if (other.suffix != arch.suffix || !runs_on(other, device.capability())) continue;
          CHECK(other.minor <= arch.minor);
        }
      }
    }
  }
}

TEST_CASE("a cubin runs where its kind of target says") {
  const auto runs = [](const char* arch, int major, int minor) {
    return runs_on(*Arch::parse(arch), {major, minor});
  };
  CHECK(runs("sm_80", 8, 9));
  CHECK(runs("sm_86", 8, 9));
  CHECK_FALSE(runs("sm_87", 8, 9));
  CHECK_FALSE(runs("sm_86", 8, 7));
  CHECK_FALSE(runs("sm_101", 10, 3));
  CHECK_FALSE(runs("sm_89", 8, 6));
  CHECK_FALSE(runs("sm_80", 9, 0));
  CHECK(runs("sm_90a", 9, 0));
  CHECK(runs("sm_100f", 10, 3));
  CHECK_FALSE(runs("sm_100f", 10, 1));
  CHECK_FALSE(runs("sm_103f", 10, 0));
  CHECK_FALSE(runs("sm_100a", 10, 3));
  CHECK_FALSE(runs("sm_120f", 10, 0));
}

std::string served(Target target, ComputeCapability capability) {
  std::string text;
  for (const Arch arch : archs_that_serve(target, capability)) text += arch.text() + " ";
  return text;
}

TEST_CASE("what serves a template is what runs and is no more general than it asks for") {
  CHECK(served(Target::kBase, {9, 0}) == "sm_90 sm_90a ");
  CHECK(served(Target::kFamily, {9, 0}) == "sm_90a ");
  CHECK(served(Target::kSpecific, {9, 0}) == "sm_90a ");
  CHECK(served(Target::kBase, {8, 9}) == "sm_89 sm_86 sm_80 ");
  CHECK(served(Target::kSpecific, {8, 6}) == "sm_86 sm_80 ");
  CHECK(served(Target::kBase, {10, 3}) == "sm_103 sm_100 sm_103f sm_100f sm_103a ");
  CHECK(served(Target::kFamily, {10, 3}) == "sm_103f sm_100f sm_103a ");
  CHECK(served(Target::kSpecific, {10, 3}) == "sm_103a ");
  CHECK(served(Target::kFamily, {12, 1}) == "sm_121f sm_120f sm_121a ");
  CHECK(served(Target::kBase, {10, 7}) == "sm_107 sm_107f sm_107a ");
  CHECK(served(Target::kBase, {19, 0}).empty());
  for (const Arch& device : known_archs({13, 5})) {
    for (const Target target : {Target::kBase, Target::kFamily, Target::kSpecific}) {
      CHECK(archs_that_serve(target, device.capability()).front() ==
            choose_arch(target, device.capability(), std::nullopt));
    }
  }
}

TEST_CASE("an architecture that a release does not know is explained") {
  const auto why = [](CompilerRelease release, const char* arch) {
    return explain_unknown(release, *Arch::parse(arch));
  };
  CHECK(why({12, 4}, "sm_100a") ==
        "nvrtc 12.4 does not know sm_100a; use NVRTC 12.8 or newer (CUBINET_NVRTC)");
  CHECK(why({12, 8}, "sm_100f") ==
        "nvrtc 12.8 does not know sm_100f; use NVRTC 12.9 or newer (CUBINET_NVRTC)");
  CHECK(why({13, 0}, "sm_70") ==
        "nvrtc 13.0 does not know sm_70; use NVRTC 12.9 or older (CUBINET_NVRTC)");
  for (const char* nonsense : {"sm_91", "sm_80a", "sm_90f", "sm_35"}) {
    CAPTURE(nonsense);
    CHECK_FALSE(is_known(*Arch::parse(nonsense)));
    const std::string text = why({13, 0}, nonsense);
    CHECK(text.starts_with("there is no architecture " + std::string(nonsense) + " that"));
    CHECK(text.find("sm_90, sm_90a, sm_100, sm_100a, sm_100f, ") != std::string::npos);
  }
}

TEST_CASE("a driver loads its own major and older ones, whatever the minors") {
  CHECK(loads_on({12, 9}, {12, 0}));
  CHECK(loads_on({12, 0}, {13, 0}));
  CHECK_FALSE(loads_on({13, 0}, {12, 9}));
}

TEST_CASE("the error of no architecture says what to do") {
  try {
    choose_arch(Target::kSpecific, {10, 3}, k128);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) ==
          "choose architecture: nvrtc 12.8 compiles no specific target that runs on compute "
          "capability 10.3; install a newer NVRTC (CUBINET_NVRTC) or use another GPU");
  }
}

}  // namespace
}  // namespace jit
