// Precompiles a shipped template and one of the program's own; needs no GPU.
#include <cstdio>
#include <jit/runtime.hpp>

int main() try {
  jit::Runtime runtime(jit::RuntimeOptions{.memory_only = true});
  const jit::Constant scale[] = {{"FACTOR", 3}};
  const jit::Constant merge[] = {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}};
  std::puts(runtime.precompile("consumer_scale", scale, {}, "sm_90a").signature.c_str());
  std::puts(runtime.precompile("merge_attn_states", merge, {}, "sm_90a").signature.c_str());
} catch (const jit::Error& error) {
  std::puts(error.what());
  // Without NVRTC nothing compiles, but both templates were found and their constants accepted.
  return error.code() == jit::ErrorCode::kNoCompiler ? 0 : 1;
}
