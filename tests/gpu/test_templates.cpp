#include "gpu/test_templates.hpp"

#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <string>

#include "gpu/gpu.hpp"

namespace jit::test {
namespace {

struct TestTemplate {
  std::string_view name;
  std::string_view params;  // members of Params
  std::string_view body;    // of the device function
  std::string_view constants = "";
};

constexpr std::string_view kIndex =
    "  const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;\n";

constexpr TestTemplate kAdd{
    "add", "  float* values;\n  unsigned int count;\n  unsigned int reserved;\n",
    R"(  if (i < params.count) atomicAdd(params.values + i, static_cast<float>(Config::AMOUNT));
)",
    R"({"name": "AMOUNT", "role": "shape", "type": "int", "range": {"min": 1, "max": 1000},
     "doc": "what is added"})"};

constexpr TestTemplate kCluster{"cluster_shape", "  uint4* shapes;\n",
                                R"(  uint4 shape;
  asm volatile("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(shape.x));
  asm volatile("mov.u32 %0, %%cluster_nctaid.y;" : "=r"(shape.y));
  asm volatile("mov.u32 %0, %%cluster_nctaid.z;" : "=r"(shape.z));
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(shape.w));
  const unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  if (threadIdx.x == 0) params.shapes[block] = shape;
)"};

constexpr TestTemplate kShared{
    "shared_reach", "  unsigned int* sums;\n  unsigned int words;\n  unsigned int reserved;\n",
    R"(  extern __shared__ unsigned int words[];
  for (unsigned int w = threadIdx.x; w < params.words; w += blockDim.x) words[w] = w + blockIdx.x;
  if (threadIdx.x == 0) params.sums[blockIdx.x] = 0;
  __syncthreads();
  unsigned int sum = 0;
  for (unsigned int w = threadIdx.x; w < params.words; w += blockDim.x) {
    sum += words[params.words - 1 - w];
  }
  atomicAdd(params.sums + blockIdx.x, sum);
)"};

constexpr TestTemplate kFloat8{"float8",
                               R"(  const float* values;
  unsigned char* e4m3;
  unsigned char* e5m2;
  unsigned char* e4m3_integer;
  unsigned char* e5m2_integer;
  unsigned char* e4m3_word;
  unsigned int count;
  unsigned int reserved;
)",
                               R"(  if (i >= params.count) return;
  const float value = params.values[i];
  const bool high = i % 2 != 0;
  const unsigned int e4m3 =
      high ? cubinet::pack_e4m3(0.0f, value) >> 8 : cubinet::pack_e4m3(value, 1.0f);
  const unsigned int e5m2 =
      high ? cubinet::pack_e5m2(1.0f, value) >> 8 : cubinet::pack_e5m2(value, 0.0f);
  params.e4m3[i] = static_cast<unsigned char>(e4m3);
  params.e5m2[i] = static_cast<unsigned char>(e5m2);
  params.e4m3_integer[i] =
      static_cast<unsigned char>(cubinet::detail::to_float8<3, 7>(value, 448.0f, 16384.0f));
  params.e5m2_integer[i] =
      static_cast<unsigned char>(cubinet::detail::to_float8<2, 15>(value, 57344.0f, 128.0f));
  const unsigned int word = cubinet::pack_e4m3_word(params.values + i / 4 * 4);
  params.e4m3_word[i] = static_cast<unsigned char>(word >> (i % 4 * 8));
)"};

constexpr TestTemplate kWords{
    "words",
    R"(  const unsigned int* words;
  float* unpacked;
  const float* values;
  unsigned int* packed;
  unsigned int count;
  unsigned int reserved;
)",
    R"(  if (i >= params.count) return;
  cubinet::unpack_word<typename Config::ELEMENT>(params.words[i], params.unpacked + 2 * i);
  params.packed[i] = cubinet::pack_word<typename Config::ELEMENT>(params.values + 2 * i);
)",
    R"({"name": "ELEMENT", "role": "shape", "type": "dtype", "values": ["f16", "bf16"],
     "doc": "the element type"})"};

constexpr TestTemplate kScalars{"scalars",
                                R"(  const float* a;
  const float* b;
  float* results;
  unsigned int count;
  unsigned int reserved;
)",
                                R"(  if (i >= params.count) return;
  const float a = params.a[i];
  const float b = params.b[i];
  float* const results = params.results + 6 * i;
  results[0] = cubinet::exp2_approx(a);
  results[1] = cubinet::log2_approx(a);
  results[2] = cubinet::reciprocal_approx(a);
  results[3] = cubinet::reciprocal_ieee(a);
  results[4] = cubinet::minimum(a, b);
  results[5] = cubinet::maximum(a, b);
)"};

constexpr TestTemplate kInactive{"inactive_loads",
                                 "  const void* nowhere;\n  unsigned int* results;\n",
                                 R"(  if (i != 0) return;
  const cubinet::Words4 a = cubinet::load_16_bytes(params.nowhere, false);
  const cubinet::Words4 b = cubinet::load_16_bytes_no_allocate(params.nowhere, false);
  for (int w = 0; w < 4; ++w) {
    params.results[w] = a.word[w];
    params.results[4 + w] = b.word[w];
  }
  params.results[8] =
      __float_as_uint(cubinet::load_float(static_cast<const float*>(params.nowhere), false));
)"};

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorCode::kIo, "write " + path.native());
}

void write_template(const std::filesystem::path& root, const TestTemplate& tmpl) {
  const std::filesystem::path folder = root / tmpl.name;
  std::filesystem::create_directories(folder);
  write_text(folder / "params.h",
             fmt::format("#pragma once\n\nnamespace {0}_test {{\nstruct Params {{\n{1}}};\n}}\n",
                         tmpl.name, tmpl.params));
  const bool uses_index = tmpl.body.find("(i ") != std::string_view::npos;
  write_text(folder / fmt::format("{}.cuh", tmpl.name),
             fmt::format("#pragma once\n\n"
                         "#include \"common/math.cuh\"\n#include \"common/memory.cuh\"\n"
                         "#include \"common/types.cuh\"\n#include \"{0}/params.h\"\n\n"
                         "namespace {0}_test {{\n\ntemplate <class Config>\n"
                         "__device__ void run(const Params& params) {{\n{1}{2}}}\n\n}}\n",
                         tmpl.name, uses_index ? kIndex : "", tmpl.body));
  write_text(folder / "manifest.json",
             fmt::format(R"({{"format": 1, "name": "{0}", "summary": "a test's template",
 "entry": {{"include": "{0}/{0}.cuh", "function": "{0}_test::run", "params": "{0}_test::Params"}},
 "min_capability": "8.0",
 "constants": [{1}]
}}
)",
                         tmpl.name, tmpl.constants));
}

}  // namespace

void write_templates(const std::filesystem::path& root) {
  for (const TestTemplate& tmpl : {kAdd, kCluster, kShared, kFloat8, kWords, kScalars, kInactive}) {
    write_template(root, tmpl);
  }
}

TEST_CASE("the tests' own templates compile without a GPU", "[templates]") {
  const Folder folder;
  write_templates(folder.path() / "templates");
  Runtime runtime(options_for(folder.path() / "cache"));
  runtime.add_templates(folder.path() / "templates");
  for (const std::string_view name : kTemplateNames) {
    std::vector<Constant> constants;
    if (name == "add") constants.push_back({"AMOUNT", 2});
    if (name == "words") constants.push_back({"ELEMENT", bf16});
    CAPTURE(name);
    CHECK(runtime.precompile(name, constants, {}, "sm_90").cubin_bytes > 0);
  }
}

}  // namespace jit::test
