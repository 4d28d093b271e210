#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "tools/explain_fixture.hpp"

using jit::Entry;
using jit::testing::CommandResult;
using jit::testing::ExplainFixture;
using nlohmann::json;

namespace {

std::string key_of(const std::filesystem::path& entry) {
  return entry.filename().string().substr(0, 64);
}

}  // namespace

TEST_CASE("two entries are compared by what they were asked as and by what they became") {
  const ExplainFixture fixture;
  const std::filesystem::path first = fixture.entry_path();
  const std::filesystem::path aside = fixture.folder() / "aside.cubinet";
  std::filesystem::copy_file(first, aside);
  fixture.replace_entry([](Entry& entry) {
    entry.key.bytes[0] ^= 1;
    entry.signature = "tiny[SIZE=96]@sm_90a";
    entry.artifact.toolchain.release = {12, 9};
    entry.artifact.compiler_version = "12.9.86";
    entry.artifact.facts.registers += 7;
    entry.artifact.facts.spill_store_bytes = 16;
    entry.artifact.facts.compile_ms = 1234.5;
    entry.artifact.cubin.push_back(std::byte{});
    entry.bundle_files.pop_back();
  });
  const std::string second = key_of(fixture.entry_path());
  const CommandResult text = fixture.run({"cache", "diff", aside.string(), second.substr(0, 9)});
  INFO(text.out << text.err);
  CHECK(text.code == 0);
  for (const char* part : {"constant SIZE 128 -> 96\n", "-> 12.9.86\n", "removed\n", "registers ",
                           "spill stores 0 -> 16 bytes\n", "-> 1234.5 ms\n", "cubin "}) {
    INFO(part);
    CHECK(text.out_has(part));
  }
  CHECK_FALSE(text.out_has("shared memory"));
  CHECK(fixture.run({"cache", "diff", aside.string(), second, "--all"})
            .out_has("shared memory 0 bytes, the same"));

  const json told = fixture.run({"cache", "diff", aside.string(), second, "--json"}).json();
  CHECK(told.at("from").at("key") == key_of(first));
  CHECK(told.at("to").at("key") == second);
  CHECK(told.at("differences").at(0).at("component") == "constant");
  CHECK(told.at("differences").at(0).at("from") == "128");
  CHECK(told.at("measured").size() == 4);
}

TEST_CASE("entries of packs are compared, with one another and with the directory's") {
  const ExplainFixture fixture;
  const std::string first = key_of(fixture.entry_path());
  const auto file = [&](const char* name) { return (fixture.folder() / name).string(); };
  REQUIRE(fixture.run({"pack", "create", file("old.cupack")}).code == 0);
  fixture.replace_entry([](Entry& entry) {
    entry.key.bytes[0] ^= 1;
    entry.signature = "tiny[SIZE=96]@sm_90a";
    entry.artifact.facts.registers += 7;
  });
  const std::string second = key_of(fixture.entry_path());
  REQUIRE(fixture.run({"pack", "create", file("new.cupack")}).code == 0);
  const std::string old_one = file("old.cupack") + ":" + first.substr(0, 9);
  for (const std::string& other : {file("new.cupack") + ":" + second + "@nvrtc-", second}) {
    const CommandResult text = fixture.run({"cache", "diff", old_one, other});
    INFO(text.out << text.err);
    CHECK(text.code == 0);
    CHECK(text.out_has("constant SIZE 128 -> 96\n"));
    CHECK(text.out_has("registers "));
    CHECK(text.out_has("old.cupack:" + first));
  }
  CHECK(fixture.run({"cache", "diff", file("old.cupack") + ":" + second, second}).code == 1);
  CHECK(fixture.run({"cache", "diff", file("none.cupack") + ":" + first, second}).code == 1);
  CHECK(fixture.run({"cache", "diff", file("old.cupack") + ":", second}).code == 2);
}

TEST_CASE("an entry is the same as itself") {
  const ExplainFixture fixture;
  const std::string key = key_of(fixture.entry_path());
  CHECK(fixture.run({"cache", "diff", key, key}).out_has("no difference"));
}

TEST_CASE("entries of one key by two compilers are told apart by their makers") {
  const ExplainFixture fixture;
  const std::filesystem::path first = fixture.entry_path();
  const std::string bytes = jit::testing::read_text(first);
  fixture.replace_entry([](Entry& entry) { entry.artifact.toolchain.release = {99, 1}; });
  std::ofstream(first, std::ios::binary) << bytes;
  const std::string key = key_of(first);
  // One name is enough for two entries.
  CHECK(fixture.run({"cache", "diff", key}).out_has("NVRTC "));
  CHECK(fixture.run({"cache", "diff", key, key}).code == 1);
  CHECK(fixture.run({"cache", "diff", key + "@nvrtc-99", first.string()}).code == 0);
}

TEST_CASE("what is no entry is refused in words") {
  const ExplainFixture fixture;
  const std::string key = key_of(fixture.entry_path());
  const std::string text = fixture.folder().write("text.cubinet", "hello").string();
  CHECK(fixture.run({"cache", "diff", text, key}).err_has("no entry: bad_magic"));
  CHECK(fixture.run({"cache", "diff", "/nowhere/x", key}).err_has("cannot be read"));
  CHECK(fixture.run({"cache", "diff", "0123456789", key}).err_has("no readable entry's key"));
  CHECK(fixture.run({"cache", "diff", key}).code == 2);
  CHECK(fixture.run({"cache", "diff"}).code == 2);
  CHECK(fixture.run({"cache", "diff", "xyz", key}).code == 2);
}
