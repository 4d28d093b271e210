#include "gpu/fp8_attention_farm.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "gpu/child_process.hpp"
#include "gpu/fp8_attention_device.hpp"
#include "gpu/mqa_grid.hpp"

namespace jit::test {
namespace {

constexpr std::size_t kAttentionFields = 14;
constexpr std::size_t kCombineFields = 3;
constexpr const char* kChild = "child: precompile a share of listed kernels of fp8_attention";

// Where children find what they are to compile.
std::filesystem::path list_of(const std::filesystem::path& cache) {
  return cache.parent_path() / "fp8_attention_kernels.txt";
}

void write_list(const Fp8Kernels& kernels, const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::trunc);
  file << kernels.attention.size() << ' ' << kernels.combine.size() << '\n';
  for (const Fp8Signature& it : kernels.attention) {
    for (const std::int64_t field :
         {it.head_dim, it.head_dim_v, it.accum_interval, std::int64_t{it.causal},
          std::int64_t{it.window}, std::int64_t{it.softcap}, std::int64_t{it.sinks},
          it.packed_heads, it.page_rows, std::int64_t{it.split}, std::int64_t{it.fp8},
          std::int64_t{it.invariant}, std::int64_t{it.programmatic}, it.query_rows}) {
      file << field << ' ';
    }
  }
  for (const Fp8Combine& it : kernels.combine) {
    file << it.head_dim_v << ' ' << it.fp8 << ' ' << it.programmatic << '\n';
  }
  file.close();
  if (!file) throw Error(ErrorCode::kIo, "write " + path.native());
}

template <std::size_t kFields>
std::array<std::int64_t, kFields> read_fields(std::ifstream& file) {
  std::array<std::int64_t, kFields> fields{};
  for (std::int64_t& field : fields) file >> field;
  return fields;
}

Fp8Kernels read_list(const std::filesystem::path& path) {
  std::ifstream file(path);
  const auto [attention, combine] = read_fields<2>(file);
  Fp8Kernels kernels;
  for (std::int64_t i = 0; i < attention; ++i) {
    const auto f = read_fields<kAttentionFields>(file);
    kernels.attention.insert({f[0], f[1], f[2], f[3] != 0, f[4] != 0, f[5] != 0, f[6] != 0, f[7],
                              f[8], f[9] != 0, f[10] != 0, f[11] != 0, f[12] != 0, f[13]});
  }
  for (std::int64_t i = 0; i < combine; ++i) {
    const auto f = read_fields<kCombineFields>(file);
    kernels.combine.insert({f[0], f[1] != 0, f[2] != 0});
  }
  if (!file) throw Error(ErrorCode::kIo, "read " + path.native());
  return kernels;
}

void precompile(Runtime& runtime, const char* name, const std::vector<Constant>& constants,
                const Sizes& sizes) {
  const auto report =
      runtime.precompile(name, std::span<const Constant>(constants), sizes, "sm_90a");
  CAPTURE(report.signature);
  CHECK(report.spill_bytes == 0);
}

}  // namespace

TEST_CASE(kChild, "[.child]") {
  const auto share = std::stoul(required_variable("CUBINET_TEST_SHARE"));
  const auto shares = std::stoul(required_variable("CUBINET_TEST_SHARES"));
  const Fp8Kernels kernels = read_list(list_of(child_cache()));
  Runtime runtime(options_for_many_kernels(child_cache()));
  std::size_t index = 0;
  for (const Fp8Signature& signature : kernels.attention) {
    if (index++ % shares != share) continue;
    precompile(runtime, "fp8_attention", constants_of(signature),
               Sizes{{"max_query_rows", signature.query_rows}});
  }
  for (const Fp8Combine& combine : kernels.combine) {
    if (index++ % shares != share) continue;
    precompile(runtime, "attention_combine", constants_of(combine), Sizes{});
  }
}

void compile_in_children(const Fp8Kernels& kernels, const std::filesystem::path& cache) {
  write_list(kernels, list_of(cache));
  compile_in_children(kChild, cache, cache.parent_path());
}

void warm_up(const std::vector<Fp8Case>& cases) {
  static Fp8Kernels done;
  Fp8Kernels fresh = kernels_of(cases);
  std::erase_if(fresh.attention, [](const auto& it) { return done.attention.contains(it); });
  std::erase_if(fresh.combine, [](const auto& it) { return done.combine.contains(it); });
  done.attention.insert(fresh.attention.begin(), fresh.attention.end());
  done.combine.insert(fresh.combine.begin(), fresh.combine.end());
  // Processes of their own cost half a second.
  if (fresh.size() > 1) compile_in_children(fresh, fp8_runtime_cache());
}

}  // namespace jit::test
