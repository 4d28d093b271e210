#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "compile/compile_fixture.hpp"
#include "compile/private_directory.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::compiler_at_hand;
using testing::CopyRequest;
using testing::TemporaryDirectory;

std::vector<std::byte> compile_with(const std::string& option) {
  CopyRequest copy;
  if (!option.empty()) copy.options.push_back(option);
  return compiler_at_hand().compile(copy.get()).cubin;
}

bool contains(const std::vector<std::byte>& bytes, std::string_view text) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return all.find(text) != std::string_view::npos;
}

TEST_CASE("a cubin's bytes depend on nothing but the request") {
  // A sandbox may refuse a thread its own directory; then full debug information keeps ours.
  const bool can_hide_directory = run_in_private_directory([] {});
  for (const std::string option : {"", "--generate-line-info", "--device-debug"}) {
    CAPTURE(option);
    const fs::path former = fs::current_path();
    const std::vector<std::byte> here = compile_with(option);
    CHECK(here == compile_with(option));

    const TemporaryDirectory directory;
    fs::current_path(directory.path());
    ::setenv("PWD", directory.path().c_str(), 1);
    ::setenv("LC_ALL", "de_DE.UTF-8", 1);
    ::setenv("TZ", "Asia/Tokyo", 1);
    ::setenv("HOME", "/nonexistent", 1);
    compile_with("--fmad=false");  // something else in between
    const std::vector<std::byte> there = compile_with(option);
    fs::current_path(former);
    ::unsetenv("LC_ALL");
    ::unsetenv("TZ");
    ::setenv("PWD", former.c_str(), 1);
    if (option == "--device-debug" && !can_hide_directory) continue;
    CHECK(here == there);
    CHECK_FALSE(contains(there, directory.path().native()));
    CHECK_FALSE(contains(here, former.native()));
  }
}

TEST_CASE("each kind of debug information is there when asked for") {
  const std::string source = "/cubinet/copy/copy.cuh";
  CHECK(contains(compile_with("--generate-line-info"), "copy.cuh"));
  CHECK(contains(compile_with("--device-debug"), "copy.cuh"));
  CHECK_FALSE(contains(compile_with(""), "copy.cuh"));
}

TEST_CASE("the process's working directory stays where it is") {
  const fs::path former = fs::current_path();
  fs::path inside;
  const bool is_private = run_in_private_directory([&] { inside = fs::current_path(); });
  CHECK(fs::current_path() == former);
  CHECK(inside == (is_private ? fs::path("/") : former));
}

}  // namespace
}  // namespace jit
