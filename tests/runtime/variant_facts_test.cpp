#include "runtime/variant_facts.hpp"

#include "runtime/runtime_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit {
namespace {

using testing::Scene;

const ToolchainId kCompiler{{13, 0}, {1, 2, 3, 4}};
const ToolchainId kOther{{13, 1}, {1, 2, 3, 4}};

// The tiny template's variants, of which `threads` tells one.
struct Variants {
  Scene scene;
  Runtime runtime{scene.options};
  Signature few = resolve(template_of("tiny"), constants(32));
  Signature many = resolve(template_of("tiny"), constants(128));

  static std::vector<Constant> constants(int threads) {
    return {{"SIZE", 64}, {"THREADS", threads}};
  }
  const table::Template& template_of(std::string_view name) {
    return runtime.impl().templates().find(name);
  }
  ArtifactSource& source() { return runtime.impl().source(); }
  static Unit unit(const Signature& signature) { return make_unit(signature, {9, 0, 0}, {}); }
  std::string file() const {
    return testing::read_text(scene.options.cache_dir / "tuning-refused.jsonl");
  }
};

TEST_CASE("a refused variant is kept with its reason for this compiler and no other") {
  Variants it;
  const Unit unit = it.unit(it.few);
  RefusedVariants first(it.source());
  CHECK_FALSE(first.find(unit, kCompiler));
  first.add(unit, kCompiler, "tiny.cuh(8): no");
  first.add(unit, kCompiler, "tiny.cuh(8): no");
  const RefusedVariants second(it.source());
  CHECK(second.find(unit, kCompiler) == "tiny.cuh(8): no");
  CHECK_FALSE(second.find(unit, kOther));
  CHECK_FALSE(second.find(it.unit(it.many), kCompiler));
  const std::string text = it.file();
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.find("\"signature\":\"tiny[SIZE=64,") != std::string::npos);
}

TEST_CASE("what a manifest has stopped to forbid is tried again") {
  Variants it;
  table::Template strict = *it.few.tmpl;
  strict.forbid_spills = true;
  Signature signature = it.few;
  signature.tmpl = &strict;
  RefusedVariants refused(it.source());
  refused.add(it.unit(signature), kCompiler, "it spills");
  const RefusedVariants again(it.source());
  CHECK(again.find(it.unit(signature), kCompiler) == "it spills");
  CHECK_FALSE(again.find(it.unit(it.few), kCompiler));
}

TEST_CASE("damaged lines of refused variants cost nothing but themselves") {
  Variants it;
  const Unit unit = it.unit(it.few);
  RefusedVariants(it.source()).add(unit, kCompiler, "no");
  const std::string line = it.file();
  it.scene.directory.write("cache/tuning-refused.jsonl",
                           "{\"key\":\"\n[]\n{}\nnull\n" + line + line.substr(0, 40));
  RefusedVariants read(it.source());
  CHECK(read.find(unit, kCompiler) == "no");
  read.add(it.unit(it.many), kCompiler, "neither");
  const RefusedVariants again(it.source());
  CHECK(again.find(unit, kCompiler) == "no");
  CHECK(again.find(it.unit(it.many), kCompiler) == "neither");
}

TEST_CASE("without a directory to write to, refused variants are remembered all the same") {
  Variants it;
  const Unit unit = it.unit(it.few);
  for (const bool memory_only : {true, false}) {
    RuntimeOptions options = it.scene.options;
    options.memory_only = memory_only;
    options.mode = memory_only ? Mode::kAuto : Mode::kReadOnly;
    const Runtime runtime(options);
    RefusedVariants refused(runtime.impl().source());
    refused.add(unit, kCompiler, "no");
    CHECK(refused.find(unit, kCompiler) == "no");
    CHECK(it.file().empty());
  }
}

TEST_CASE("the reason of a refusal is what the compiler said, and only that is a refusal") {
  CHECK(reason_of_refusal("compile t[A=1]@sm_90: nvrtc 13.0: t.cuh(8): static assertion failed "
                          "with \"no: never\" (constants: A=1; reproduction: /tmp/x.cu)") ==
        "t.cuh(8): static assertion failed with \"no: never\"");
  CHECK(reason_of_refusal("something else") == "something else");
  CHECK(is_refusal(Error(ErrorCode::kCompileFailed, "t.cuh(8): no", "log")));
  CHECK_FALSE(is_refusal(Error(ErrorCode::kCompileFailed, "t.cuh(8): no")));
  CHECK_FALSE(is_refusal(Error(ErrorCode::kCompileFailed, "NVRTC_ERROR_OUT_OF_MEMORY", "log")));
  CHECK_FALSE(is_refusal(Error(ErrorCode::kNoCompiler, "none", "log")));
}

TEST_CASE("facts of a variant come from its entry, with the threads that bound it") {
  Variants it;
  const Unit unit = it.unit(it.few);
  RefusedVariants refused(it.source());
  constexpr auto kKeep = ArtifactSource::Purpose::kKeep;
  CHECK_FALSE(find_facts(it.source(), refused, unit, kKeep));
  it.runtime.impl().precompile(it.few, unit.arch, Debug::kNone);
  const auto facts = find_facts(it.source(), refused, unit, kKeep);
  REQUIRE(facts);
  CHECK(facts->threads == 32);
  CHECK(facts->facts.registers > 0);
  CHECK(facts->refused.empty());
  const auto toolchain = it.source().toolchain(std::nullopt);
  REQUIRE(toolchain);
  refused.add(it.unit(it.many), toolchain->id, "no");
  CHECK(find_facts(it.source(), refused, it.unit(it.many), kKeep)->refused == "no");
}

}  // namespace
}  // namespace jit
