// What the tests of this layer share: the NVRTC at hand and a kernel to compile.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "compile/compiler.hpp"
#include "support/temporary_directory.hpp"
#include "support/toolchain_at_hand.hpp"

namespace jit::testing {

// One Compiler for all cases: NVRTC stays loaded in any case.
inline Compiler& compiler_at_hand() {
  static Compiler compiler(toolchain_at_hand());
  return compiler;
}

inline constexpr std::string_view kUnit = R"(#include "copy/copy.cuh"
extern "C" __global__ void __launch_bounds__(192) copy_kernel(const __grid_constant__ Params params) {
  copy(params);
}
)";

inline constexpr std::string_view kHeader = R"(#pragma once
struct Params {
  int* to;
  const int* from;
  int count;
};
__device__ inline void copy(const Params& params) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < params.count) params.to[i] = params.from[i];
}
)";

// CopyRequest owns what its request points to.
struct CopyRequest {
  std::string unit{kUnit};
  std::string header{kHeader};
  std::vector<SourceHeader> headers{{"copy/copy.cuh", header, "/templates/copy/copy.cuh"}};
  std::vector<std::string> options{"--std=c++17"};

  CompileRequest get() {
    headers[0].text = header;
    CompileRequest request;
    request.unit = unit;
    request.unit_name = "copy__1f3a.cu";
    request.headers = headers;
    request.arch = {9, 0, 'a'};
    request.options = options;
    request.symbol = "copy_kernel";
    request.signature = "copy[N=1]@sm_90a";
    request.constants = "N=1";
    return request;
  }
};

}  // namespace jit::testing
