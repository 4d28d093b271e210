#include "compile/reproduction.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/file.hpp"
#include "compile/compile_fixture.hpp"
#include "jit/error.hpp"

namespace jit {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using testing::compiler_at_hand;
using testing::CopyRequest;
using testing::TemporaryDirectory;

constexpr std::string_view kBroken =
    "extern \"C\" __global__ void copy_kernel(int* p) { *p = kHidden; }\n";

std::string failure_of(const CompileRequest& request, std::string* message = nullptr) {
  try {
    compiler_at_hand().compile(request);
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.reproduction();
  }
  FAIL("it compiled");
  return {};
}

TEST_CASE("a failed compile leaves a file that names its command") {
  const TemporaryDirectory directory;
  CopyRequest copy;
  copy.unit = kBroken;
  copy.options = {"--std=c++17", "--use_fast_math", "--generate-line-info", "--define-macro=A=b c"};
  CompileRequest request = copy.get();
  request.standalone = kBroken;
  request.reproduction_dir = directory.path() / "deep/er";
  std::string message;
  const std::string path = failure_of(request, &message);
  CHECK(path == (directory.path() / "deep/er/copy_kernel-sm_90a.cu").native());
  CHECK_THAT(message, EndsWith("(constants: N=1; reproduction: " + path + ")"));
  const auto text = read_file(path);
  REQUIRE(text);
  CHECK(*text ==
        "// copy[N=1]@sm_90a\n"
        "// nvcc -cubin -arch=sm_90a --std=c++17 --use_fast_math -lineinfo "
        "'--define-macro=A=b c' -Xptxas -v -o /dev/null copy_kernel-sm_90a.cu\n" +
            std::string(kBroken));
}

TEST_CASE("a reproduction that cannot be written hides no error") {
  CopyRequest copy;
  copy.unit = kBroken;
  CompileRequest request = copy.get();
  request.standalone = kBroken;
  request.reproduction_dir = "/proc/nowhere";
  std::string message;
  CHECK(failure_of(request, &message).empty());
  CHECK_THAT(message, ContainsSubstring("identifier \"kHidden\" is undefined (constants: N=1)"));
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "text";
  request.reproduction_dir = directory.path() / "file";
  CHECK(failure_of(request).empty());
}

TEST_CASE("no name leads a reproduction out of its directory or its comment") {
  const TemporaryDirectory directory;
  CopyRequest copy;
  copy.unit = kBroken;
  CompileRequest request = copy.get();
  request.standalone = "int x;\n";
  request.reproduction_dir = directory.path();
  request.symbol = "../../etc/passwd";
  request.signature = "a\nint injected;\\";
  const std::string path = failure_of(request);
  CHECK(path == (directory.path() / "______etc_passwd-sm_90a.cu").native());
  CHECK(read_file(path)->find("\nint injected") == std::string::npos);
  CHECK(read_file(path)->find('\\') == std::string::npos);
}

// [slow] for the half second that nvcc takes; needs a toolkit.
TEST_CASE("plain nvcc takes the file: it fails alike, and compiles what compiles", "[slow]") {
  if (std::system("command -v nvcc >/dev/null 2>&1") != 0) SKIP("no nvcc on the path");
  const TemporaryDirectory directory;
  CopyRequest copy;
  copy.unit = kBroken;
  CompileRequest request = copy.get();
  request.standalone = kBroken;
  request.reproduction_dir = directory.path();
  const std::string in_directory = "cd " + directory.path().native() + " && ";
  const std::string failing =
      in_directory + "sh -c \"$(sed -n '2s|^// ||p' " + failure_of(request) + ")\" >log 2>&1";
  CHECK(std::system(failing.c_str()) != 0);
  CHECK_THAT(*read_file(directory.path() / "log"),
             ContainsSubstring("identifier \"kHidden\" is undefined"));

  const std::string whole =
      copy.header + std::string(testing::kUnit.substr(testing::kUnit.find('\n') + 1));
  request.standalone = whole;  // the unit in memory still fails
  const std::string compiling =
      in_directory + "sh -c \"$(sed -n '2s|^// ||p' " + failure_of(request) + ")\" >log 2>&1";
  CHECK(std::system(compiling.c_str()) == 0);
}

}  // namespace
}  // namespace jit
