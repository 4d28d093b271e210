#include "tools/explain_fixture.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "base/file.hpp"
#include "cache/layout.hpp"
#include "support/fake_library.hpp"
#include "support/tiny_template.hpp"

namespace jit::testing {

namespace fs = std::filesystem;

ExplainFixture::ExplainFixture(From from) : from_(from) {
  add_tiny_template(*this);
  const CommandResult result =
      run({"precompile", "tiny", "--set", "SIZE=128", "--set", "THREADS=64", "--set", "STAGES=1",
           "--arch", "sm_90a", "-j", "1"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  REQUIRE(entries().size() == 1);
  if (from_ == From::kPack) environment["CUBINET_PACKS"] = pack().string();
}

nlohmann::json ExplainFixture::explain(const std::vector<std::string>& more) const {
  std::vector<std::string> words{"explain", "tiny", "--json"};
  if (from_ == From::kPack) {
    const CommandResult packed = run({"pack", "create", pack().string(), "--all-toolchains"});
    INFO(packed.err);
    REQUIRE(packed.code == 0);
    words.insert(words.end(), {"--cache-dir", "none"});
  }
  const auto has = [&](std::string_view text) {
    return std::any_of(more.begin(), more.end(),
                       [&](const std::string& word) { return word.starts_with(text); });
  };
  if (!has("SIZE=")) words.insert(words.end(), {"--set", "SIZE=128"});
  if (!has("num_tokens=")) words.insert(words.end(), {"--size", "num_tokens=17"});
  if (!has("--arch")) words.insert(words.end(), {"--arch", "sm_90a"});
  words.insert(words.end(), more.begin(), more.end());
  const CommandResult result = run(words);
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK(result.err.empty());
  return result.json();
}

fs::path ExplainFixture::entry_path() const {
  const auto all = entries();
  REQUIRE(all.size() == 1);
  return all.front();
}

void ExplainFixture::replace_entry(const std::function<void(Entry&)>& change) const {
  const fs::path path = entry_path();
  const std::string text = read_text(path);
  Decoded decoded = decode(as_bytes(text), nullptr);
  REQUIRE(decoded.entry);
  Entry& entry = *decoded.entry;
  change(entry);
  fs::remove(path);
  const fs::path shard = cache() / kFormatDirectory / entry.key.hex().substr(0, 2);
  fs::create_directory(shard);
  fs::permissions(shard, fs::perms::owner_all);
  const std::vector<std::byte> bytes = encode(entry);
  std::ofstream(shard / entry_name(entry.key, entry.artifact.toolchain), std::ios::binary)
      << as_text(bytes);
}

void ExplainFixture::edit_manifest(std::string_view from, std::string_view to) const {
  REQUIRE(kTinyManifest.find(from) != std::string_view::npos);
  write_tiny(folder(), with(kTinyManifest, from, to));
}

void ExplainFixture::edit_code(std::string_view from, std::string_view to) const {
  REQUIRE(kTinyBody.find(from) != std::string_view::npos);
  write_tiny(folder(), kTinyManifest, with(kTinyBody, from, to));
}

void ExplainFixture::use_fake_nvrtc(const std::string& version) {
  const fs::path lib = folder() / ("nvrtc-" + version);
  const std::string major = version.substr(0, version.find('.'));
  const std::string release = version.substr(0, version.rfind('.'));
  make_library(lib / ("libnvrtc.so." + major), "library",
               fmt::format("Cuda compilation tools, release {}, V{}\n", release, version));
  make_library(lib / ("libnvrtc-builtins.so." + release), "builtins");
  environment["CUBINET_NVRTC"] = lib.string();
}

std::string ExplainFixture::nvrtc_version() const {
  const std::string text = read_text(entry_path());
  const Decoded decoded = decode(as_bytes(text), nullptr);
  REQUIRE(decoded.entry);
  return decoded.entry->artifact.compiler_version;
}

std::string ExplainFixture::listing() const {
  std::vector<std::string> lines;
  for (const auto& file : fs::recursive_directory_iterator(folder().path())) {
    const std::string name = file.path().filename();
    if (name == "stdout" || name == "stderr") continue;
    struct stat status {};
    REQUIRE(::lstat(file.path().c_str(), &status) == 0);
    lines.push_back(fmt::format("{} {} {} {}.{}", file.path().native(), status.st_ino,
                                status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec));
  }
  std::sort(lines.begin(), lines.end());
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::vector<std::string> differences_in(const nlohmann::json& told) {
  std::vector<std::string> texts;
  REQUIRE_FALSE(told.at("nearest").empty());
  for (const nlohmann::json& difference : told.at("nearest").at(0).at("differences")) {
    texts.push_back(difference.at("text"));
  }
  return texts;
}

}  // namespace jit::testing
