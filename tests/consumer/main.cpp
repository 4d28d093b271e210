// Precompiles a shipped template and one of the program's own into the cache folder given; needs no
// GPU.
#include <cstdio>
#include <jit/runtime.hpp>

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  jit::Runtime runtime(jit::RuntimeOptions{.cache_dir = argv[1]});
  const jit::Constant scale[] = {{"FACTOR", 3}};
  const jit::Constant merge[] = {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}};
  std::puts(runtime.precompile("consumer_scale", scale, {}, "sm_90a").signature.c_str());
  std::puts(runtime.precompile("merge_attn_states", merge, {}, "sm_90a").signature.c_str());
} catch (const jit::Error& error) {
  std::puts(error.what());
  // Without NVRTC nothing compiles, but both templates were found and their constants accepted.
  return error.code() == jit::ErrorCode::kNoCompiler ? 0 : 1;
}
