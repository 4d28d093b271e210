// A process that starts again launches from disk and never maps the compiler.
#include <catch2/catch_test_macros.hpp>

#include "gpu/child_process.hpp"
#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"
#include "jit/jit.hpp"

namespace jit::test {
namespace {

MergeCase restart_case() {
  MergeCase merge;
  merge.scale = 0.1F;
  merge.tokens = 256;
  merge.heads = 32;
  merge.head_size = merge.input_stride = merge.output_stride = 128;
  merge.seed = run_seed();
  return merge;
}

std::string launch_and_judge(Runtime& runtime) {
  const MergeCase merge = restart_case();
  const MergeInputs inputs = make_inputs(merge);
  const StreamOwner stream(driver());
  return judge(merge, inputs, run_merge(runtime, merge, inputs, stream)).wrong;
}

}  // namespace

TEST_CASE("child: launch from disk through the process-wide runtime", "[.child]") {
  CHECK(launch_and_judge(Runtime::shared()) == "");
  const Kernel kernel = jit::get_kernel("merge_attn_states",
                                        {{"HEAD_SIZE", 128},
                                         {"INPUT_TYPE", jit::bf16},
                                         {"USE_FP8_OUTPUT", true},
                                         {"HAS_OUTPUT_LSE", true}},
                                        Sizes{{"num_tokens", 4096}});
  CHECK(kernel);
  CHECK(Runtime::shared().stats().compiles == 0);
  CHECK(Runtime::shared().stats().disk_hits == 1);
  CHECK_FALSE(is_mapped("libnvrtc"));
}

TEST_CASE("a restarted process gets its kernel from disk and maps no compiler",
          "[runtime][restart]") {
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  CHECK(launch_and_judge(runtime) == "");
  CHECK(runtime.stats().compiles == 1);
  // Who compiled has it mapped: the question is a fair one.
  CHECK(is_mapped("libnvrtc"));
  ChildProcess child(
      "child: launch from disk through the process-wide runtime",
      {{"CUBINET_CACHE_DIR", (folder.path() / "cache").native()}, {"CUBINET_MODE", "frozen"}},
      folder.path() / "restart.log");
  CHECK(child.failure() == "");
}

}  // namespace jit::test
