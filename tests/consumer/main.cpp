// Precompiles a shipped template, one of the program's own and one of a static library into the
// cache folder given; needs no GPU.
#include <cstdio>
#include <jit/runtime.hpp>

#include "library.hpp"

namespace {

// An error crosses from the library into the program and is caught there by its type.
bool catches_errors(jit::Runtime& runtime) {
  try {
    runtime.precompile("consumer_unknown", {}, {}, "sm_90a");
  } catch (const jit::Error& error) {
    return error.code() == jit::ErrorCode::kUnknownTemplate;
  }
  return false;
}

// Without NVRTC nothing compiles, but the template was found and its constants accepted.
bool is_known(jit::Runtime& runtime, const char* name, std::span<const jit::Constant> constants) {
  try {
    std::puts(runtime.precompile(name, constants, {}, "sm_90a").signature.c_str());
    return true;
  } catch (const jit::Error& error) {
    std::puts(error.what());
    return error.code() == jit::ErrorCode::kNoCompiler;
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  jit::Runtime runtime(jit::RuntimeOptions{.cache_dir = argv[1]});
  const jit::Constant scale[] = {{"FACTOR", 3}};
  const jit::Constant shift[] = {{"OFFSET", 3}};
  const jit::Constant merge[] = {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}};
  const bool fine = catches_errors(runtime) && is_known(runtime, "consumer_scale", scale) &&
                    is_known(runtime, shift_template(), shift) &&
                    is_known(runtime, "merge_attn_states", merge);
  return fine ? 0 : 1;
} catch (const jit::Error& error) {
  std::puts(error.what());
  return 1;
}
