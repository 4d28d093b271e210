// cubinet bench fp8_attention, fp8_attention_decode and fp8_attention_tiles, as far as they need no
// GPU.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/fp8_attention_figures.hpp"
#include "support/paths.hpp"
#include "tools/command_fixture.hpp"

namespace jit::testing {
namespace {

using Catch::Approx;
using nlohmann::json;

Fp8AttentionCall call_of(std::int64_t head_dim, std::int64_t batch, std::int64_t length) {
  Fp8AttentionCall call;
  set_fp8_heads(call, head_dim);
  call.num_sequences = batch;
  call.query_len = call.key_len = length;
  return call;
}

TEST_CASE("shapes of fp8_attention are read as they are written") {
  for (const Fp8Shape& shape : kFp8Shapes) CHECK(parse_fp8_shape(shape.name()) == shape);
  CHECK(parse_fp8_shape("1x1000000"));
  for (const char* const wrong :
       {"", "x", "1x", "x16", "0x16", "1x0", "1x16 ", "+1x16", "-1x16", "1x1000001", "1001x1000",
        "1x16k", "1x1x1", "99999999999999999999x1"}) {
    INFO(wrong);
    CHECK_FALSE(parse_fp8_shape(wrong));
  }
}

TEST_CASE("figures of fp8_attention are those of the public benchmark") {
  const std::vector<std::int64_t> heads{32, 16, 16, 8, 8};
  for (std::size_t i = 0; i < kFp8HeadDims.size(); ++i) {
    const Fp8AttentionCall call = call_of(kFp8HeadDims[i], 1, 16384);
    CHECK(call.num_heads == heads[i]);
    CHECK(call.num_kv_heads == heads[i] / 8);
    CHECK(call.head_dim_v == kFp8HeadDims[i]);
  }
  CHECK(fp8_flops(call_of(64, 1, 16384)) == Approx(1099.5e9).epsilon(1e-3));
  CHECK(fp8_flops(call_of(96, 4, 2048)) == Approx(51.5e9).epsilon(1e-3));
  CHECK(fp8_flops(call_of(256, 32, 512)) == Approx(34.4e9).epsilon(2e-3));
  // At 64 elements exponentials take longest, at 128 the products.
  CHECK(fp8_floor_us(call_of(64, 1, 16384), 132) == Approx(1159 * 1.755 / 1.98).epsilon(2e-3));
  CHECK(fp8_floor_us(call_of(128, 1, 16384), 132) == Approx(696).epsilon(1e-3));
  CHECK(fp8_floor_us(call_of(256, 8, 2048), 132) == Approx(87).epsilon(1e-2));
  // With few keys the bytes do.
  const Fp8AttentionCall few = call_of(256, 1000, 1);
  CHECK(fp8_floor_us(few, 132) == Approx(1000 * (8 + 2 + 16) * 256 / 4.3e6).epsilon(1e-3));
  CHECK(fp8_peer_of(call_of(256, 1, 16384)).two_levels_us == 3093);
  CHECK(fp8_peer_of(call_of(256, 1, 16383)).two_levels_us == 0);
}

TEST_CASE(
    "options that benchmarks of fp8_attention cannot take are refused before a GPU is asked for") {
  CommandFixture fixture;
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "bench");
    const CommandResult result = fixture.run(words);
    CHECK(result.code == 2);
    return result.err;
  };
  CHECK(refusal({"fp8_attention", "--shapes", "16k"}).find("1x16384,32x512") != std::string::npos);
  CHECK(refusal({"fp8_attention", "--head-dim", "80"}).find("64, 96, 128") != std::string::npos);
  CHECK(refusal({"fp8_attention_decode", "--page-size", "16,any"}).find("--page-size") !=
        std::string::npos);
  CHECK(refusal({"fp8_attention_decode", "--batch", "0"}).find("--batch") != std::string::npos);
  CHECK(refusal({"fp8_attention_tiles", "--head-dim", "7"}).find("--head-dim") !=
        std::string::npos);
  CHECK(refusal({"fp8_attention_tiles", "--arch", "hopper"}).find("sm_90a") != std::string::npos);
}

TEST_CASE("benchmarks of fp8_attention time nothing that is wrong") {
  CommandFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = kFakeCudaPath;  // runs no kernel
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0";
  const CommandResult result = fixture.run(
      {"bench", "fp8_attention", "--head-dim", "64", "--shapes", "2x24", "--seed", "5"});
  INFO(result.err);
  CHECK(result.code == 1);
  CHECK(
      result.err_has("check fp8_attention: 2 sequences of 24 query tokens and 24 keys, 32 heads of "
                     "64 elements, pages of 0, interval 1: nobody wrote element 0 of the output "
                     "(seed 5)"));
  CHECK(result.out.empty());
}

TEST_CASE(
    "the table of fp8_attention's tiles says what the compiler makes of the seed's and of the "
    "shipped ones") {
  CommandFixture fixture;
  const CommandResult result =
      fixture.run({"bench", "fp8_attention_tiles", "--quick", "--head-dim", "64", "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const json report = result.json();
  CHECK_FALSE(report.contains("gpu"));
  std::vector<std::uint64_t> seed_spills;
  std::size_t shipped = 0;
  for (const json& row : report.at("rows")) {
    INFO(row.dump());
    CHECK(row.at("head_dim") == "64");
    CHECK(row.at("smem_bytes") > 16384);
    if (row.at("tiles") != "shipped") {
      CHECK(row.at("chunk") == 64);
      CHECK(row.at("interval") == 1);
      CHECK(row.at("overlap") == 1);
      seed_spills.push_back(row.at("spill_stores"));
      continue;
    }
    ++shipped;
    CHECK(row.at("verdict") == "clean");
    CHECK(row.at("spill_stores") == 0);
    CHECK(row.at("registers") > 0);
    CHECK(row.at("compile_ms") > 1);
  }
  REQUIRE(seed_spills.size() == 2);
  CHECK(seed_spills[0] > seed_spills[1]);  // why the tile was made smaller
  CHECK(shipped == 1);
}

}  // namespace
}  // namespace jit::testing
