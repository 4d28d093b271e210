#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

// A cache with the three kernels of the tiny template's presets.
void fill(CommandFixture& fixture) {
  add_tiny_template(fixture);
  const CommandResult result =
      fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90a", "-j", "1"});
  INFO(result.err);
  REQUIRE(result.code == 0);
}

json list(const CommandFixture& fixture) {
  return fixture.run({"cache", "ls", "--json"}).json().at("entries");
}

void flip_last_byte(const std::filesystem::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-40, std::ios::end);
  const int byte = file.get();
  file.seekp(-40, std::ios::end);
  file.put(static_cast<char>(byte ^ 1));
}

}  // namespace

TEST_CASE("an empty cache is listed, verified and cleared without a word of complaint") {
  const CommandFixture fixture;
  CHECK(fixture.run({"cache", "path"}).out == fixture.cache().string() + "\n");
  const CommandResult listed = fixture.run({"cache", "ls"});
  CHECK(listed.code == 0);
  CHECK(listed.out_has("0 entries"));
  CHECK(list(fixture).empty());
  CHECK(fixture.run({"cache", "verify", "--json"}).json().at("checked") == 0);
  CHECK(fixture.run({"cache", "rm", "--all"}).code == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("entries are listed and shown with all that they say") {
  CommandFixture fixture;
  fill(fixture);
  const json entries = list(fixture);
  REQUIRE(entries.size() == 3);
  const json& first = entries.at(0);
  CHECK(first.at("template") == "tiny");
  CHECK(first.at("arch") == "sm_90a");
  CHECK(first.at("toolchain").get<std::string>().starts_with("nvrtc-"));
  CHECK(first.at("bytes").get<std::size_t>() > first.at("cubin_bytes").get<std::size_t>());
  CHECK(first.at("unused_s") < 600);
  const std::string key = first.at("key");
  const std::string signature = first.at("signature");

  const CommandResult text = fixture.run({"cache", "ls"});
  CHECK(text.out_has(key.substr(0, 12)));
  CHECK(text.out_has("3 entries"));
  const CommandResult shown = fixture.run({"cache", "show", key.substr(0, 12)});
  CHECK(shown.code == 0);
  for (const std::string& part :
       {key, signature, std::string("cubinet 0."), std::string("registers"),
        std::string("tiny/params.h"), std::string("tiny__")}) {
    INFO(part);
    CHECK(shown.out_has(part));
  }
  const json whole = fixture.run({"cache", "show", key, "--json"}).json().at("entries").at(0);
  CHECK(whole.at("signature") == signature);
  CHECK(whole.at("params_bytes") == 16);
  CHECK(whole.at("nvrtc_version").get<std::string>().find('.') != std::string::npos);
  CHECK(whole.at("options") == json::array({"--std=c++17"}));
  CHECK(whole.at("bundle_files").size() >= 2);
  const CommandResult none = fixture.run({"cache", "show", "0123456789abcdef"});
  CHECK(none.code == 1);
  CHECK(none.err_has("no entry's key begins so"));
}

TEST_CASE("verify names a damaged entry, and the next use builds it again") {
  CommandFixture fixture;
  fill(fixture);
  CHECK(fixture.run({"cache", "verify"}).code == 0);
  const std::string damaged = list(fixture).at(1).at("key");
  flip_last_byte(list(fixture).at(1).at("path").get<std::string>());

  const CommandResult text = fixture.run({"cache", "verify"});
  CHECK(text.code == 1);
  CHECK(text.out_has(damaged.substr(0, 12) + " bad_checksum"));
  CHECK(text.out_has("3 entries checked, 1 damaged"));
  CHECK(text.out_has("built again"));
  const json report = fixture.run({"cache", "verify", "--json"}).json();
  CHECK(report.at("damaged") == 1);
  CHECK(report.at("entries").at(1).at("damage") == "bad_checksum");
  CHECK(report.at("entries").at(0).at("ok") == true);
  const std::string other = list(fixture).at(0).at("key");
  CHECK(fixture.run({"cache", "verify", other.substr(0, 12)}).code == 0);

  const json healed =
      fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90a", "--json"}).json();
  CHECK(healed.at("compiled") == 1);
  CHECK(healed.at("hits") == 2);
  CHECK(fixture.run({"cache", "verify"}).code == 0);
}

TEST_CASE("rm removes what it is told to") {
  CommandFixture fixture;
  fill(fixture);
  const std::string key = list(fixture).at(0).at("key");
  const CommandResult none = fixture.run({"cache", "rm", "0123456789abcdef"});
  CHECK(none.code == 1);
  CHECK(none.err_has("no entry's key begins so"));
  const CommandResult one = fixture.run({"cache", "rm", key, key.substr(0, 12), "--json"});
  CHECK(one.code == 0);
  CHECK(one.json().at("removed") == 1);
  CHECK(fixture.entries().size() == 2);
  fixture.environment["CUBINET_MODE"] = "readonly";
  CHECK(fixture.run({"cache", "rm", "--all"}).code == 1);
  CHECK(fixture.entries().size() == 2);
  fixture.environment.erase("CUBINET_MODE");
  CHECK(fixture.run({"cache", "rm", "--all", "--yes"}).code == 0);
  CHECK(fixture.entries().empty());
}

TEST_CASE("gc keeps to the bounds of the environment and to those it is given") {
  CommandFixture fixture;
  fill(fixture);
  const CommandResult fine = fixture.run({"cache", "gc"});
  CHECK(fine.code == 0);
  CHECK(fine.out_has("0 entries removed"));
  CHECK(fine.out_has("3 entries remain"));
  CHECK(fine.out_has("of at most 4.0 GiB"));
  const std::vector<std::string> dry = {"cache", "gc", "--max-size", "1", "--dry-run", "--json"};
  const json planned = fixture.run(dry).json();
  CHECK(planned.at("dry_run") == true);
  CHECK(planned.at("removed_entries") == 3);
  CHECK(planned.at("remaining_bytes") == 0);
  CHECK(fixture.entries().size() == 3);
  // Room for two: the one that was used longest ago goes.
  const std::uint64_t each = planned.at("scanned_bytes").get<std::uint64_t>() / 3;
  const auto old = fixture.entries().at(1);
  std::filesystem::last_write_time(
      old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(48));
  fixture.environment["CUBINET_CACHE_MAX_SIZE"] = std::to_string(5 * each / 2);
  const json done = fixture.run({"cache", "gc", "--json"}).json();
  CHECK(done.at("removed_entries") == 1);
  CHECK(done.at("remaining_entries") == 2);
  CHECK(done.at("max_bytes") == 5 * each / 2);
  CHECK_FALSE(std::filesystem::exists(old));
  CHECK(fixture.run({"cache", "gc", "--unused-for", "1d"}).out_has("0 entries removed"));
  CHECK(fixture.run({"cache", "gc", "--unused-for", "0s", "--max-size", "none"})
            .out_has("2 entries removed"));
  CHECK(fixture.entries().empty());
}

TEST_CASE("gc says what is wrong and what to do") {
  CommandFixture fixture;
  fill(fixture);
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--max-size", "big"},
                                                {"--min-free", "-1"},
                                                {"--unused-for", "30"}}) {
    std::vector<std::string> words = {"cache", "gc"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    const CommandResult result = fixture.run(words);
    CHECK(result.code == 2);
    CHECK(result.err_has("expected a"));
  }
  const CommandResult full = fixture.run({"cache", "gc", "--min-free", "1000000TiB"});
  CHECK(full.code == 1);
  CHECK(full.err_has("free space elsewhere"));
  CHECK(fixture.entries().size() == 3);
  fixture.environment["CUBINET_MODE"] = "readonly";
  const CommandResult readonly = fixture.run({"cache", "gc", "--max-size", "1"});
  CHECK(readonly.code == 1);
  CHECK(readonly.err_has("CUBINET_MODE=auto"));
  CHECK(fixture.run({"cache", "gc", "--max-size", "1", "--dry-run"}).code == 0);
  CHECK(fixture.entries().size() == 3);
}

TEST_CASE("gc of an empty cache makes nothing") {
  const CommandFixture fixture;
  CHECK(fixture.run({"cache", "gc"}).code == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("precompile leaves the cache within its cap when it returns") {
  CommandFixture fixture;
  fill(fixture);
  const json held = fixture.run({"cache", "gc", "--dry-run", "--json"}).json();
  const std::uint64_t cap = held.at("remaining_bytes").get<std::uint64_t>() * 3 / 2;
  CHECK(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_80,sm_86", "-j", "2"})
            .code == 0);
  REQUIRE(fixture.entries().size() == 9);
  fixture.environment["CUBINET_CACHE_MAX_SIZE"] = std::to_string(cap);
  CHECK(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_100a", "-j", "2"}).code ==
        0);
  CHECK(fixture.entries().size() <= 4);
  CHECK(fixture.run({"cache", "gc", "--dry-run", "--json"}).json().at("scanned_bytes") <= cap);
}
