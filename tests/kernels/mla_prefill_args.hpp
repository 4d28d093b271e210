// What tests of mla_prefill's front end share: operands that are in order, at addresses that nobody
// reads, and a template that compiles at once.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "jit/kernels/mla_prefill.hpp"
#include "kernels/front_end_fixture.hpp"
#include "support/paths.hpp"

namespace jit::testing {

// Three sequences of 1000 queries and 2000 keys in all, 16 heads of 192 and 128 elements.
inline kernels::MlaPrefillArgs mla_args() {
  kernels::MlaPrefillArgs args;
  args.num_sequences = 3;
  args.num_query_tokens = 1000;
  args.num_key_tokens = 2000;
  args.num_heads = 16;
  args.q = somewhere(0x1'0000'0000);
  args.k = somewhere(0x2'0000'0000);
  args.v = somewhere(0x3'0000'0000);
  args.cu_seqlens_q = somewhere<std::int32_t>(0x4'0000'0000);
  args.cu_seqlens_k = somewhere<std::int32_t>(0x5'0000'0000);
  args.output = somewhere(0x6'0000'0000);
  args.lse = somewhere<float>(0x7'0000'0000);
  return args;
}

// Writes mla_prefill with its own manifest and Params, but a kernel that does nothing: what a front
// end launches does not depend on it, and the real one takes seconds to compile.
// Returns: what goes on the template path.
inline std::filesystem::path write_quick_mla_prefill(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  const fs::path shipped = fs::path(kSourceDir) / "kernel_templates";
  const fs::path root = directory / "quick";
  const fs::path folder = root / "mla_prefill";
  fs::create_directories(folder);
  fs::create_directories(root / "attention_shared");
  for (const char* name :
       {"mla_prefill/manifest.json", "mla_prefill/params.h", "attention_shared/tile.h"}) {
    fs::copy_file(shipped / name, root / name);
  }
  std::ofstream(folder / "mla_prefill.cuh") << R"(#pragma once
#include "common/types.cuh"
#include "mla_prefill/params.h"
namespace cubinet {
namespace mla_prefill {
template <class Config>
__device__ void run(const Params& params) {
  if (params.lse != nullptr) params.lse[threadIdx.x] = Config::kBlockN;
}
}  // namespace mla_prefill
}  // namespace cubinet
)";
  return root;
}

// A FrontEnd with it.
class MlaFrontEnd : public FrontEnd {
 public:
  explicit MlaFrontEnd(std::vector<FakeDevice> devices = {FakeDevice{}})
      : FrontEnd(std::move(devices)) {
    runtime->add_templates(write_quick_mla_prefill(scene.directory.path()));
  }

  // The kernel of these constants for as many tokens and heads as mla_args() has.
  const KernelInfo& kernel(std::span<const Constant> constants) {
    const Sizes sizes{{"num_query_rows", 1000 * 16}};
    return runtime->get_kernel("mla_prefill", constants, sizes).info();
  }
};

}  // namespace jit::testing
