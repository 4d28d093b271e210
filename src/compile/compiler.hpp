// Compiler: NVRTC, reached through dlopen, as a function from text in memory to a checked cubin.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/span.hpp"
#include "compile/toolchain.hpp"
#include "signature/arch.hpp"
#include "signature/artifact.hpp"

namespace jit::inline v1 {

// SourceHeader is one file that the unit may include.
struct SourceHeader {
  std::string_view name;  // as spelled between the quotes of #include
  std::string_view text;
  std::string_view path;  // where people find it; may be empty
};

// CompileRequest is one unit with everything that it may see. All views must outlive the call.
struct CompileRequest {
  std::string_view unit;
  std::string_view unit_name;  // what the log calls the unit: "merge_attn_states__1f3a.cu"
  std::span<const SourceHeader> headers;
  Arch arch;
  // Canonical and keyed: language, debug, fast-math. Requires: no architecture, no include path.
  std::span<const std::string> options;
  std::string_view symbol;     // the entry point, an extern "C" __global__ function
  std::string_view signature;  // for messages: "merge_attn_states[HEAD_SIZE=128]@sm_90a"
  std::string_view constants;  // for messages: "HEAD_SIZE=128, INPUT_TYPE=bf16"
  bool forbid_spills = false;
  bool forbid_serialized_wgmma = false;
  // One self-contained .cu of the same code, kept when the compile fails; empty: none is kept.
  std::string_view standalone;
  std::filesystem::path reproduction_dir;  // made when missing
  SpanSink* spans = nullptr;               // gets the check of what was made
};

// Compiler owns one NVRTC. Nothing is loaded before the first compile, and what is loaded stays
// until the process ends: NVRTC keeps state that does not survive being unloaded.
//
// Threads: one compile() at a time per Compiler; those of one process wait for each other (NVRTC's
// threads do not scale).
// Fork: a child may go on using a Compiler when no compile was running in another thread.
class Compiler {
 public:
  explicit Compiler(ToolchainLocation location);
  ~Compiler();
  Compiler(Compiler&&) noexcept;
  Compiler& operator=(Compiler&&) noexcept;
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  // Compiles one unit and checks the result: ELF, architecture, symbol (check_cubin).
  //
  // The unit sees its own text and `headers`, nothing of the file system. The bytes of the cubin
  // depend on the request and this build of NVRTC alone: not on the directory, the environment,
  // other compiles or the time.
  // Errors: kCompileFailed, in one line: signature, release, the first error with the template's
  //         own file and line, constants, reproduction; log() has NVRTC's whole log. The same for a
  //         variant that spills or serialises wgmma where that is forbidden, with the numbers.
  //         kNoCompiler if the library cannot be loaded or lacks a function. kUnsupportedArch if
  //         this release does not know `arch`. kInternal for a cubin that is not what was asked.
  // Cost: NVRTC's own time plus about 0.1 ms; the first call loads the library (40 to 100 ms).
  Artifact compile(const CompileRequest& request);

  const ToolchainLocation& location() const noexcept { return location_; }
  // False until the first compile.
  bool loaded() const noexcept { return library_ != nullptr; }

 private:
  struct Library;
  ToolchainLocation location_;
  std::unique_ptr<Library> library_;
};

}  // namespace jit::inline v1
