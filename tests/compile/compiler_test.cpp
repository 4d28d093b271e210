#include "compile/compiler.hpp"

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
using Catch::Matchers::StartsWith;
using testing::compiler_at_hand;
using testing::CopyRequest;
using testing::TemporaryDirectory;

Error error_of(const CompileRequest& request) {
  try {
    compiler_at_hand().compile(request);
  } catch (const Error& error) {
    return error;
  }
  FAIL("it compiled");
  return Error(ErrorCode::kInternal, "");
}

std::string release_text() {
  const CompilerRelease release = compiler_at_hand().location().id.release;
  return std::to_string(release.major) + "." + std::to_string(release.minor);
}

TEST_CASE("a unit with a header in memory becomes a checked cubin with its facts") {
  CopyRequest copy;
  const Artifact artifact = compiler_at_hand().compile(copy.get());
  CHECK(artifact.arch == Arch{9, 0, 'a'});
  CHECK(artifact.symbol == "copy_kernel");
  CHECK(artifact.toolchain == compiler_at_hand().location().id);
  CHECK_THAT(artifact.compiler_version, StartsWith(release_text() + "."));
  CHECK(artifact.facts.registers > 0);
  CHECK(artifact.facts.registers < 64);
  CHECK(artifact.facts.spill_bytes() == 0);
  CHECK(artifact.facts.smem_bytes == 0);
  CHECK(artifact.facts.params_bytes == 24);
  CHECK(artifact.facts.max_threads == 192);
  CHECK(artifact.facts.compile_ms > 0);
  CHECK(artifact.cubin.size() > 500);
}

TEST_CASE("nothing is loaded before the first compile") {
  Compiler compiler(testing::toolchain_at_hand());
  CHECK_FALSE(compiler.loaded());
  CopyRequest copy;
  compiler.compile(copy.get());
  CHECK(compiler.loaded());
}

TEST_CASE("an error names the template's file and line, the constants and the log") {
  CopyRequest copy;
  copy.header += "__device__ int broken() { return kHidden; }\n";
  const Error error = error_of(copy.get());
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK(std::string(error.what()) ==
        "compile copy[N=1]@sm_90a: nvrtc " + release_text() +
            ": copy/copy.cuh(11): identifier \"kHidden\" is undefined (constants: N=1)");
  CHECK_THAT(error.log(), ContainsSubstring("copy/copy.cuh(11): error:"));
  CHECK(error.reproduction().empty());
}

TEST_CASE("debug information changes no name in an error") {
  CopyRequest copy;
  copy.header += "static_assert(sizeof(int) == 5, \"int has five bytes\");\n";
  for (const char* option : {"--generate-line-info", "--device-debug"}) {
    CAPTURE(option);
    copy.options = {option};
    const Error error = error_of(copy.get());
    CHECK_THAT(error.what(), ContainsSubstring(": copy/copy.cuh(11): static assertion failed"));
    CHECK_THAT(error.log(), StartsWith("copy/copy.cuh(11): error:"));
  }
}

TEST_CASE("ptxas errors are errors") {
  CopyRequest copy;
  copy.header += "__device__ void bad() { asm volatile(\"foo.bar;\"); }\n";
  copy.unit.insert(copy.unit.find("  copy(params)"), "  bad();\n");
  CHECK_THAT(error_of(copy.get()).what(), ContainsSubstring(": ptxas: "));
}

TEST_CASE("too much static shared memory is an error with both numbers") {
  CopyRequest copy;
  copy.unit =
      "extern \"C\" __global__ void copy_kernel(int* p) {\n"
      "  __shared__ int s[100000];\n"
      "  s[threadIdx.x] = *p; __syncthreads(); *p = s[threadIdx.x ^ 1];\n}\n";
  CHECK_THAT(error_of(copy.get()).what(),
             ContainsSubstring("400000 bytes of static shared memory, a block may have 49152"));
}

TEST_CASE("a unit sees the headers it was given and nothing else") {
  CopyRequest copy;
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "planted.cuh") << "#define PLANTED 1\n";
  const auto former = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  for (const char* include : {"planted.cuh", "./planted.cuh", "copy/../planted.cuh", "cuda_fp16.h",
                              "cstdint", "stdio.h"}) {
    CAPTURE(include);
    copy.unit = "#include \"" + std::string(include) + "\"\n" + std::string(testing::kUnit);
    CHECK_THAT(error_of(copy.get()).what(), ContainsSubstring("could not open source file"));
    copy.unit = "#include <" + std::string(include) + ">\n" + std::string(testing::kUnit);
    CHECK_THAT(error_of(copy.get()).what(), ContainsSubstring("could not open source file"));
  }
  std::filesystem::current_path(former);
}

TEST_CASE("spills are counted, and refused where they are forbidden") {
  CopyRequest copy;
  copy.unit = R"(extern "C" __global__ void __launch_bounds__(1024) copy_kernel(float* p) {
  float a[64];
  for (int i = 0; i < 64; i++) a[i] = p[i * threadIdx.x];
  __syncthreads();
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < 64; i++) a[i] = a[i] * a[(i * 7 + 3) % 64] + p[j];
  for (int i = 0; i < 64; i++) p[i] = a[i];
})";
  CompileRequest request = copy.get();
  const Artifact artifact = compiler_at_hand().compile(request);
  CHECK(artifact.facts.spill_store_bytes > 0);
  CHECK(artifact.facts.spill_load_bytes > 0);
  CHECK(artifact.facts.stack_bytes > 0);
  CHECK(artifact.facts.registers == 64);
  request.forbid_spills = true;
  const Error error = error_of(request);
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK_THAT(
      error.what(),
      ContainsSubstring("spills registers (" + std::to_string(artifact.facts.spill_store_bytes) +
                        " bytes of stores, " + std::to_string(artifact.facts.spill_load_bytes) +
                        " of loads, at 64 registers)"));
  CHECK_THAT(error.log(), ContainsSubstring("spill stores"));
}

TEST_CASE("serialised wgmma is counted, and refused where it is forbidden") {
  CopyRequest copy;
  copy.unit = R"(extern "C" __global__ void __launch_bounds__(128)
copy_kernel(float* p, unsigned long long d) {
  float a[4] = {0, 0, 0, 0};
  asm volatile("wgmma.fence.sync.aligned;");
  for (int i = 0; i < 4; i++) {
    asm volatile("{.reg .pred q; setp.ne.b32 q,1,0;\n"
                 "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %4, "
                 "q,1,1,0,0;}" : "+f"(a[0]), "+f"(a[1]), "+f"(a[2]), "+f"(a[3]) : "l"(d));
    a[0] += 1.f;
  }
  asm volatile("wgmma.commit_group.sync.aligned;\n wgmma.wait_group.sync.aligned 0;");
  p[threadIdx.x] = a[0] + a[1] + a[2] + a[3];
})";
  CompileRequest request = copy.get();
  CHECK(compiler_at_hand().compile(request).facts.serialized_wgmma > 0);
  request.forbid_serialized_wgmma = true;
  CHECK_THAT(error_of(request).what(), ContainsSubstring("ptxas serialises wgmma ("));
}

TEST_CASE("an architecture that the release does not know is refused before it is tried") {
  CopyRequest copy;
  CompileRequest request = copy.get();
  request.arch = {19, 0, 0};
  CHECK(error_of(request).code() == ErrorCode::kUnsupportedArch);
}

TEST_CASE("a NUL byte does not end a source unseen") {
  CopyRequest copy;
  copy.header.push_back('\0');
  const Error error = error_of(copy.get());
  CHECK(error.code() == ErrorCode::kInvalidTemplate);
  CHECK_THAT(error.what(), ContainsSubstring("copy/copy.cuh holds a NUL byte"));
}

TEST_CASE("a kernel of another name is a broken promise, with the name") {
  CopyRequest copy;
  CompileRequest request = copy.get();
  request.symbol = "copy_kernel_2";
  const Error error = error_of(request);
  CHECK(error.code() == ErrorCode::kInternal);
  CHECK_THAT(error.what(), ContainsSubstring("no kernel copy_kernel_2"));
}

TEST_CASE("a library that is no NVRTC is no compiler") {
  ToolchainLocation location = testing::toolchain_at_hand();
  CopyRequest copy;
  location.nvrtc = "/nonexistent/libnvrtc.so.13";
  try {
    Compiler(location).compile(copy.get());
    FAIL("it compiled");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNoCompiler);
    CHECK_THAT(error.what(), StartsWith("load /nonexistent/libnvrtc.so.13: "));
  }
  location.nvrtc = location.builtins;
  try {
    Compiler(location).compile(copy.get());
    FAIL("it compiled");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNoCompiler);
    CHECK_THAT(error.what(), ContainsSubstring("it has no nvrtcVersion"));
  }
}

TEST_CASE("builtins of another release are refused, not mixed in") {
  ToolchainLocation location = testing::toolchain_at_hand();
  CopyRequest copy;
  location.id.release.minor = static_cast<std::uint16_t>(location.id.release.minor == 0 ? 1 : 0);
  try {
    Compiler(location).compile(copy.get());
    FAIL("it compiled");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNoCompiler);
    CHECK_THAT(error.what(), ContainsSubstring("put one release in one directory"));
  }
}

}  // namespace
}  // namespace jit
