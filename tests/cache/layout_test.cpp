#include "cache/layout.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <string>

#include "cache/cache_fixture.hpp"
#include "cache/inspection.hpp"
#include "cache/location.hpp"

using namespace jit;
using namespace jit::test;

TEST_CASE("the name of an entry goes there and back") {
  const ToolchainId made_by = toolchain(12, 9, 0xab);
  const std::string name = entry_name(key_of(1), made_by);
  CHECK(name.substr(64) == ".12.9-abababab.cubinet");
  const std::optional<EntryName> says = parse_entry_name(name);
  REQUIRE(says);
  CHECK(says->key == key_of(1));
  CHECK(says->matches(made_by));
  CHECK_FALSE(says->matches(toolchain(12, 8, 0xab)));
  CHECK_FALSE(says->matches(toolchain(12, 9, 0xac)));
}

TEST_CASE("a name that entry_name does not make is refused") {
  const std::string key(64, 'a');
  REQUIRE(parse_entry_name(key + ".13.0-01234567.cubinet"));
  for (const char* tail :
       {"", ".", ".cubinet", ".13.0-01234567", ".13.0-01234567.cubinet~", ".013.0-01234567.cubinet",
        ".13.00-01234567.cubinet", ".+13.0-01234567.cubinet", ".13.-1-01234567.cubinet",
        ".13-01234567.cubinet", ".99999.0-01234567.cubinet", ".13.0-0123456.cubinet",
        ".13.0-0123456X.cubinet", ".13.0-01234567.CUBINET", "-13.0-01234567.cubinet"}) {
    CAPTURE(tail);
    CHECK_FALSE(parse_entry_name(key + tail));
  }
  CHECK_FALSE(parse_entry_name(std::string(64, 'A') + ".13.0-01234567.cubinet"));
  CHECK_FALSE(parse_entry_name(std::string(63, 'a') + ".13.0-01234567.cubinet"));
}

TEST_CASE("only two lower-case digits name a shard") {
  CHECK(is_shard_name("0f"));
  for (const char* name : {"", "0", "0F", "0ff", "..", "tmp", "locks"}) {
    CHECK_FALSE(is_shard_name(name));
  }
}

TEST_CASE("the cache lives where the XDG rules say, and needs neither home nor passwd entry") {
  // In a child, because the environment is everybody's.
  CHECK(succeeded(start([] {
    ::setenv("HOME", "/home/someone", 1);
    ::setenv("XDG_CACHE_HOME", "/cache", 1);
    bool good = default_cache_dir() == "/cache/cubinet";
    ::setenv("XDG_CACHE_HOME", "relative", 1);
    good = good && default_cache_dir() == "/home/someone/.cache/cubinet";
    ::unsetenv("XDG_CACHE_HOME");
    good = good && default_cache_dir() == "/home/someone/.cache/cubinet";
    const std::string by_uid = "/tmp/cubinet-" + std::to_string(::geteuid());
    ::setenv("HOME", "relative", 1);
    good = good && default_cache_dir() == by_uid;
    ::setenv("HOME", "", 1);
    good = good && default_cache_dir() == by_uid;
    ::unsetenv("HOME");
    return good && default_cache_dir() == by_uid;
  })));
}

TEST_CASE("entries of another format are neither seen nor set aside") {
  CHECK(std::string(kFormatDirectory) == "v" + std::to_string(kEntryFormatVersion));
  const Folder folder;
  const Entry entry = make_entry(1);
  const Directory directory({.root = folder / "cache"}, Logger::silent());
  REQUIRE(directory.publish(entry).ok);
  const auto older = folder / "cache/v1/00";
  std::filesystem::create_directories(older);
  const auto path = older / entry_name(entry.key, entry.artifact.toolchain);
  spill(path, {});
  CHECK(list_entries(directory).size() == 1);
  CHECK(std::filesystem::exists(path));
}
