// cubinet bench of kernels, as far as it needs no GPU.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/paths.hpp"
#include "tools/command_fixture.hpp"

namespace jit::testing {
namespace {

TEST_CASE("options that a benchmark cannot take are refused before a GPU is asked for") {
  CommandFixture fixture;
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "bench");
    const CommandResult result = fixture.run(words);
    CHECK(result.code == 2);
    return result.err;
  };
  for (const char* const spec : {"8x4k", "q", "q0", "0q4k", "q4kk", "+1q4k", "q999999k", "4096"}) {
    INFO(spec);
    CHECK(refusal({"mla_prefill", "--specs", spec}).find("q512,q2k,8q4k") != std::string::npos);
  }
  CHECK(refusal({"mla_prefill", "--heads", "x"}).find("--heads") != std::string::npos);
  CHECK(refusal({"mla_prefill", "--rounds", "-1"}).find("--rounds") != std::string::npos);
  CHECK(refusal({"merge_attn_states", "--scales", "row"}).find("tensor") != std::string::npos);
  CHECK(refusal({"mqa_logits", "--logits", "f16"}).find("bf16") != std::string::npos);
}

TEST_CASE("the benchmark of mla_prefill times nothing that is wrong") {
  CommandFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = kFakeCudaPath;  // runs no kernel
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0";
  const CommandResult result =
      fixture.run({"bench", "mla_prefill", "--specs", "2q24", "--heads", "3", "--seed", "5"});
  INFO(result.err);
  CHECK(result.code == 1);
  CHECK(result.err_has(
      "check mla_prefill: 2q24, 3 heads, bf16 output: nobody wrote element 0 of the output (seed "
      "5)"));
  CHECK(result.out.empty());
}

}  // namespace
}  // namespace jit::testing
