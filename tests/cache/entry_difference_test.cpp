#include "cache/entry_difference.hpp"

#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "base/digest.hpp"
#include "cache/cache_fixture.hpp"

using namespace jit;
using namespace jit::test;

namespace {

using Change = std::function<void(Entry&)>;

// The texts of the differences that `change` makes, joined by "; ".
std::string after(const Change& change) {
  const Entry from = make_entry(1);
  Entry to = from;
  change(to);
  std::string text;
  for (const Difference& difference : differences(from, to)) {
    text += (text.empty() ? "" : "; ") + difference.text();
  }
  return text;
}

}  // namespace

TEST_CASE("each component of an entry that changes is told, and no other") {
  CHECK(after([](Entry&) {}).empty());
  CHECK(after([](Entry& to) { to.key = key_of(2); }).empty());  // follows from the others
  CHECK(after([](Entry& to) { to.artifact.facts.registers = 99; }).empty());
  CHECK(after([](Entry& to) { to.key_format = 2; }) == "key format 1 -> 2");
  CHECK(after([](Entry& to) { to.artifact.arch = {9, 0, 0}; }) == "architecture sm_90a -> sm_90");
  CHECK(after([](Entry& to) { to.options.emplace_back("--device-debug"); }) ==
        "compiler options: --device-debug added");
  CHECK(after([](Entry& to) { to.options.pop_back(); }) == "compiler options: -DN=1 removed");
  CHECK(after([](Entry& to) { std::swap(to.options.front(), to.options.back()); }) ==
        "compiler options: order changed");
  CHECK(after([](Entry& to) { to.bundle_sha256 = sha256("other"); }) == "bundle changed");
  CHECK(after([](Entry& to) { to.producer = "cubinet 9"; }) ==
        "producer cubinet test -> cubinet 9");
}

TEST_CASE("constants are compared by name") {
  const auto with = [](const char* signature) {
    return after([&](Entry& to) {
      to.signature = signature;
      to.unit_sha256 = sha256(signature);  // follows from its constants and is not told
    });
  };
  CHECK(with("kernel[N=96]@sm_90a") == "constant N 1 -> 96");
  CHECK(with("kernel[N=1,M=2]@sm_90a") == "constant M=2 added");
  CHECK(with("kernel[M=2]@sm_90a") == "constant N=1 removed; constant M=2 added");
  CHECK(constants_of("k[A=1,B=bf16]@sm_90a") ==
        std::vector<std::pair<std::string, std::string>>{{"A", "1"}, {"B", "bf16"}});
  for (const char* text : {"", "k", "k[", "k[]", "k]"}) CHECK(constants_of(text).empty());
}

TEST_CASE("of another template nothing else is told that follows from it") {
  CHECK(after([](Entry& to) {
          to.name = "other";
          to.signature = "other[M=1]@sm_90a";
          to.bundle_files.clear();
          to.bundle_sha256 = to.unit_sha256 = sha256("other");
        }) == "template kernel -> other");
}

TEST_CASE("files of the bundle are named, each with what happened to it") {
  const auto with = [](const Change& change) {
    return after([&](Entry& to) {
      change(to);
      to.bundle_sha256 = sha256("other");
    });
  };
  CHECK(with([](Entry& to) { to.bundle_files[1].sha256 = sha256("c"); }) ==
        "file params.hpp changed");
  CHECK(with([](Entry& to) { to.bundle_files.pop_back(); }) == "file params.hpp removed");
  CHECK(with([](Entry& to) {
          to.bundle_files.push_back({"ptx.cuh", sha256("c")});
        }) == "file ptx.cuh added");
}

TEST_CASE("a rendered unit that changed by itself names the renderer or the manifest") {
  CHECK(after([](Entry& to) { to.unit_sha256 = sha256("c"); }) ==
        "rendered unit changed (the manifest's entry or a constant's declaration changed)");
  CHECK(after([](Entry& to) {
          to.unit_sha256 = sha256("c");
          to.producer = "cubinet 9";
        }) ==
        "rendered unit changed (renderer changed, cubinet test -> cubinet 9); producer cubinet "
        "test -> cubinet 9");
}

TEST_CASE(
    "compilers are told apart by version, else by build, and one that is unknown by nothing") {
  const auto made_by = [](const ToolchainId& id, const char* version) {
    return after([&](Entry& to) {
      to.artifact.toolchain = id;
      to.artifact.compiler_version = version;
    });
  };
  CHECK(made_by(toolchain(12, 9, 1), "12.9.86") == "NVRTC 13.0.88 -> 12.9.86");
  CHECK(made_by(toolchain(13, 0, 1), "13.0.48") == "NVRTC 13.0.88 -> 13.0.48");
  CHECK(made_by(toolchain(12, 9, 1), "") == "NVRTC 13.0.88 -> 12.9 (build 01010101)");
  CHECK(made_by(toolchain(13, 0, 1), "13.0.88") ==
        "NVRTC 13.0.88 -> another build of 13.0.88 (07070707 -> 01010101)");
  CHECK(made_by(toolchain(13, 0, 1), "") ==
        "NVRTC 13.0.88 -> another build of 13.0.88 (07070707 -> 01010101)");
  CHECK(made_by({}, "").empty());
}
