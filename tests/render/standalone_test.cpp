#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

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
