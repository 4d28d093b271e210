// What tests of fp8_attention's front end share: operands that are in order, at addresses that
// nobody reads, and templates that compile at once.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "jit/kernels/fp8_attention.hpp"
#include "kernels/front_end_fixture.hpp"
#include "support/paths.hpp"

namespace jit::testing {

// Three sequences of 1000 queries and 2000 keys in all, 16 heads and 2 of keys, of 128 elements.
inline kernels::Fp8AttentionArgs fp8_args() {
  kernels::Fp8AttentionArgs args;
  args.num_sequences = 3;
  args.num_query_tokens = 1000;
  args.num_key_tokens = 2000;
  args.num_heads = 16;
  args.num_kv_heads = 2;
  args.q = somewhere(0x1'0000'0000);
  args.k = somewhere(0x2'0000'0000);
  args.v = somewhere(0x3'0000'0000);
  args.cu_seqlens_q = somewhere<std::int32_t>(0x4'0000'0000);
  args.cu_seqlens_k = somewhere<std::int32_t>(0x5'0000'0000);
  args.output = somewhere(0x6'0000'0000);
  args.lse = somewhere<float>(0x7'0000'0000);
  return args;
}

// The same with keys in 500 pages of 16 tokens, up to 40 of them of a sequence.
inline kernels::Fp8AttentionArgs paged_fp8_args() {
  kernels::Fp8AttentionArgs args = fp8_args();
  args.num_key_tokens = 0;
  args.cu_seqlens_k = nullptr;
  args.seqused_k = somewhere<std::int32_t>(0x8'0000'0000);
  args.page_table = somewhere<std::int32_t>(0x9'0000'0000);
  args.max_pages = 40;
  args.num_pages = 500;
  args.page_size = 16;
  return args;
}

// A workspace for every number of parts of fp8_args().
inline void give_workspace(kernels::Fp8AttentionArgs& args) {
  args.workspace = somewhere(0x10'0000'0000);
  args.workspace_bytes = std::int64_t{4} << 30;
}

// Writes fp8_attention and attention_combine with their own manifests and Params, but kernels that
// do nothing: what a front end launches does not depend on them, and the real ones take long to
// compile. Returns: what goes on the template path.
inline std::filesystem::path write_quick_fp8_attention(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  const fs::path shipped = fs::path(kSourceDir) / "kernel_templates";
  const fs::path root = directory / "quick";
  const auto write = [&](const std::string& name, const std::string& body) {
    fs::create_directories(root / name);
    for (const fs::directory_entry& entry : fs::directory_iterator(shipped / name)) {
      const bool needed = entry.path().extension() == ".h" || entry.path().extension() == ".json";
      if (needed) fs::copy_file(entry.path(), root / name / entry.path().filename());
    }
    std::ofstream(root / name / (name + ".cuh"))
        << "#pragma once\n#include \"" << name << "/params.h\"\nnamespace cubinet {\nnamespace "
        << name << " {\ntemplate <class Config>\n__device__ void run(const Params& params) {\n"
        << body << "}\n}\n}\n";
  };
  write("fp8_attention",
        "  if (params.lse != nullptr) params.lse[threadIdx.x] = Config::kBlockN;\n");
  write("attention_combine",
        "  if (params.lse != nullptr) params.lse[threadIdx.x] = Config::kHeadDimV;\n");
  fs::create_directories(root / "attention_shared");
  fs::copy_file(shipped / "attention_shared/tile.h", root / "attention_shared/tile.h");
  return root;
}

// A FrontEnd with them.
class Fp8FrontEnd : public FrontEnd {
 public:
  explicit Fp8FrontEnd(std::vector<FakeDevice> devices = {FakeDevice{}})
      : FrontEnd(std::move(devices)) {
    runtime->add_templates(write_quick_fp8_attention(scene.directory.path()));
  }
};

}  // namespace jit::testing
