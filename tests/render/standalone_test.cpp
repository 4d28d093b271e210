#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "jit/error.hpp"
#include "render/unit.hpp"
#include "runtime/template_registry.hpp"
#include "signature/template_directory.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

std::string find_nvcc() {
  for (const char* path : {"/usr/local/cuda/bin/nvcc", "/usr/bin/nvcc"}) {
    if (fs::exists(path)) return path;
  }
  return std::system("nvcc --version >/dev/null 2>&1") == 0 ? "nvcc" : "";
}

// Compiles with plain nvcc; returns whether it did, with its words in `log`.
bool compiles(const std::string& nvcc, const TemporaryDirectory& directory, const std::string& text,
              std::string& log) {
  directory.write("unit.cu", text);
  const std::string folder = directory.path().string();
  const std::string command = "cd " + folder + " && " + nvcc +
                              " -cubin -std=c++17 -arch=sm_90a -o unit.cubin unit.cu > log 2>&1";
  const bool done = std::system(command.c_str()) == 0;
  log = testing::read_text(directory / "log");
  return done && fs::file_size(directory / "unit.cubin") > 0;
}

TEST_CASE("a standalone text has every file once and keeps their lines") {
  const TemporaryDirectory directory;
  TableArena arena;
  const table::Template tmpl = read_template(testing::write_tiny(directory) / "tiny", {}, arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  const std::string text = render_standalone(resolve(tmpl, constants));
  CHECK(text.find("#include") == std::string::npos);
  CHECK(text.find("#pragma once") == std::string::npos);
  CHECK(text.find("#line 1 \"tiny/tiny.cuh\"") != std::string::npos);
  CHECK(text.find("#line 3 \"tiny/tiny.cuh\"") != std::string::npos);
  const std::size_t first = text.find("struct Params {");
  CHECK(first != std::string::npos);
  CHECK(text.find("struct Params {", first + 1) == std::string::npos);
}

// The standalone text of a tiny template whose header begins with `head`.
std::string standalone_with(const TemporaryDirectory& directory, const std::string& head) {
  TableArena arena;
  const auto body = testing::with(testing::kTinyBody, "#pragma once\n", "#pragma once\n" + head);
  const fs::path templates = testing::write_tiny(directory, testing::kTinyManifest, body);
  const table::Template tmpl = read_template(templates / "tiny", {}, arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  return render_standalone(resolve(tmpl, constants));
}

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

// Checks with nvcc, where there is one, that the text compiles.
void check_compiles(const TemporaryDirectory& directory, const std::string& text) {
  const std::string nvcc = find_nvcc();
  if (nvcc.empty()) return;
  std::string log;
  const bool done = compiles(nvcc, directory, text, log);
  INFO(text << log);
  CHECK(done);
}

TEST_CASE("a standalone text repeats a file without pragma once at each include") {
  const TemporaryDirectory directory;
  directory.write("templates/tiny/list.inc", "ITEM(one)\nITEM(two)");
  const std::string text = standalone_with(
      directory,
      "#define ITEM(name) name,\nenum First {\n#include \"tiny/list.inc\"\n};\n#undef ITEM\n"
      "#define ITEM(name) +1\nconstexpr int kCount = 0\n#include \"tiny/list.inc\"\n;\n"
      "static_assert(kCount == 2, \"both\");\n");
  CHECK(count_of(text, "ITEM(two)") == 2);
  check_compiles(directory, text);
}

TEST_CASE("a standalone text has a file again whose first include was not compiled") {
  const TemporaryDirectory directory;
  directory.write("templates/tiny/leaf.h", "#pragma once\nstruct Leaf {};\n");
  directory.write("templates/tiny/one.h",
                  "#pragma once\n#include \"tiny/leaf.h\"\nstruct One {};\n");
  const std::string text = standalone_with(
      directory,
      "#if 0\n#include \"tiny/one.h\"\n#endif\n#include \"tiny/one.h\"\n#include \"tiny/leaf.h\"\n"
      "#include \"tiny/one.h\"\nusing Both = One; using Leaves = Leaf;\n");
  CHECK(count_of(text, "struct One {};") == 2);
  check_compiles(directory, text);
}

TEST_CASE("a standalone text keeps what stands on the line of an include") {
  const TemporaryDirectory directory;
  directory.write("templates/tiny/a.h", "/* x\n*/ # /* y */ pragma once // z\nstruct A {};\n");
  directory.write("templates/tiny/b.h", "\xEF\xBB\xBF#pragma once\nstruct B {};  // #pragma once");
  const std::string text = standalone_with(
      directory,
      "/* first\n*/ #include \"tiny/a.h\" /* second\n*/ #inc\\\nlude \"tiny/b.h\"  // third\n"
      "struct Ab { A a; B b; };\n");
  CHECK(text.find("#include") == std::string::npos);
  CHECK(text.find("struct A {};") != std::string::npos);
  CHECK(text.find("#line 3 \"tiny/tiny.cuh\"\n /* second\n*/ \n") != std::string::npos);
  CHECK(text.find("#line 5 \"tiny/tiny.cuh\"\n  // third\nstruct Ab") != std::string::npos);
  check_compiles(directory, text);
}

TEST_CASE("files that include each other end by pragma once or a guard, or are refused by name") {
  const TemporaryDirectory directory;
  directory.write("templates/tiny/c.h", "#pragma once\n#include \"tiny/d.h\"\nstruct C {};\n");
  directory.write("templates/tiny/d.h", "#pragma once\n#include \"tiny/c.h\"\nstruct D {};\n");
  directory.write("templates/tiny/e.h",
                  "// e\n#ifndef E_H\n#define E_H\n#include \"tiny/f.h\"\nstruct E {};\n#endif\n");
  directory.write("templates/tiny/f.h",
                  "#ifndef F_H\n#define F_H\n#include \"tiny/e.h\"\nstruct F {};\n#endif\n");
  const std::string head = "#include \"tiny/c.h\"\n#include \"tiny/e.h\"\n";
  check_compiles(directory,
                 standalone_with(directory, head + "struct All { C c; D d; E e; F f; };\n"));

  directory.write("templates/tiny/g.h", "struct G;\n#include \"tiny/g.h\"\n");
  try {
    standalone_with(directory, "#include \"tiny/g.h\"\n");
    FAIL("an endless text was made");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidTemplate);
    CHECK(std::string(error.what()).find("render tiny: inlining tiny/g.h has no end") == 0);
  }
}

TEST_CASE("the head of a standalone text is the command with the template's own options") {
  const TemporaryDirectory directory;
  TableArena arena;
  const std::string manifest = testing::with(testing::kTinyManifest, "\"constants\": [",
                                             "\"compiler_options\": [\"--use_fast_math\", "
                                             "\"--fmad=false\"], \"constants\": [");
  const fs::path templates = testing::write_tiny(directory, manifest);
  const table::Template tmpl = read_template(templates / "tiny", {}, arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  const Signature signature = resolve(tmpl, constants);
  CHECK(render_standalone(signature).find("\n// compile with: nvcc --std=c++17 --use_fast_math "
                                          "--fmad=false -arch=<sm> -cubin\n") != std::string::npos);
  CHECK(render_standalone(signature, Debug::kLineInfo).find(" --generate-line-info -arch") !=
        std::string::npos);
}

TEST_CASE("a standalone text of each shipped template compiles with plain nvcc") {
  const std::string nvcc = find_nvcc();
  if (nvcc.empty()) SKIP("no nvcc here");
  const TemporaryDirectory directory;
  for (const table::Template* tmpl : embedded_templates()) {
    const Signature signature = resolve(*tmpl, tmpl->presets[0].constants);
    std::string log;
    const bool done = compiles(nvcc, directory, render_standalone(signature), log);
    INFO(tmpl->name << ": " << log);
    CHECK(done);
  }
}

TEST_CASE("nvcc's errors in a standalone text name the template's own file and line") {
  const std::string nvcc = find_nvcc();
  if (nvcc.empty()) SKIP("no nvcc here");
  const TemporaryDirectory directory;
  TableArena arena;
  const std::string body = testing::with(testing::kTinyBody, "+ Config::STAGES", "+ nonsense");
  const fs::path templates = testing::write_tiny(directory, testing::kTinyManifest, body);
  const table::Template tmpl = read_template(templates / "tiny", {}, arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  std::string log;
  CHECK_FALSE(compiles(nvcc, directory, render_standalone(resolve(tmpl, constants)), log));
  INFO(log);
  const auto line =
      1 + std::count(body.begin(),
                     body.begin() + static_cast<std::ptrdiff_t>(body.find("nonsense")), '\n');
  CHECK(log.find("tiny/tiny.cuh(" + std::to_string(line) + "): error") != std::string::npos);
}

}  // namespace
}  // namespace jit
