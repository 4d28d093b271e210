#include "compile/log_parser.hpp"

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

namespace jit {
namespace {

// As NVRTC 13.0 writes it; 12.x leaves out barriers and the compile time.
constexpr std::string_view kSpilling = R"(
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k' for 'sm_90a'
ptxas info    : Function properties for k
ptxas         .     128 bytes stack frame, 188 bytes spill stores, 200 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 128 bytes cumulative stack size, 1200 bytes smem
ptxas info    : Compile time = 48.071 ms
)";

TEST_CASE("registers, shared memory, stack and spills are read") {
  const LogFacts facts = parse_log(kSpilling, "k");
  CHECK(facts.found);
  CHECK(facts.registers == 64);
  CHECK(facts.smem_bytes == 1200);
  CHECK(facts.stack_bytes == 128);
  CHECK(facts.spill_store_bytes == 188);
  CHECK(facts.spill_load_bytes == 200);
  CHECK(facts.serialized_wgmma == 0);
}

TEST_CASE("the log of NVRTC 12 is read the same") {
  const LogFacts facts = parse_log(
      "ptxas info    : 304 bytes gmem\n"
      "ptxas info    : Compiling entry function 'k' for 'sm_90'\n"
      "ptxas info    : Function properties for k\n"
      "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 10 registers, 400000 bytes smem\n",
      "k");
  CHECK(facts.registers == 10);
  CHECK(facts.smem_bytes == 400000);
}

TEST_CASE("another function's registers are not the kernel's, its spills are") {
  const LogFacts facts = parse_log(
      "ptxas info    : Function properties for k\n"
      "ptxas         .     80 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info    : Used 27 registers, used 0 barriers\n"
      "ptxas info    : Function properties for _Z1gi\n"
      "ptxas         .     16 bytes stack frame, 100 bytes spill stores, 200 bytes spill loads\n"
      "ptxas info    : Used 99 registers\n",
      "k");
  CHECK(facts.registers == 27);
  CHECK(facts.stack_bytes == 80);
  CHECK(facts.spill_store_bytes == 104);
  CHECK(facts.spill_load_bytes == 208);
}

TEST_CASE("warnings of serialised wgmma are counted") {
  const LogFacts facts = parse_log(
      "ptxas info    : (C7519) warpgroup.arrive is injected in around line 42 by compiler\n"
      "ptxas info    : (C7517) warpgroup.wait is injected in around line 39 by compiler\n"
      "ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are "
      "serialized due to insufficient register resources\n"
      "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored\n",
      "k");
  CHECK(facts.serialized_wgmma == 2);
}

TEST_CASE("any text is a log") {
  CHECK_FALSE(parse_log("", "k").found);
  CHECK_FALSE(parse_log("ptxas", "k").found);
  CHECK(parse_log("ptxas Function properties for k\nptxas Used", "k").registers == 0);
  CHECK(parse_log("ptxas Function properties for k\nptxas Used registers\n", "k").registers == 0);
  CHECK(parse_log("ptxas Function properties for \nptxas bytes spill stores", "").found);
  const LogFacts huge = parse_log(
      "ptxas Function properties for k\n"
      "ptxas 99999999999999999999 bytes spill stores, 4294967295 bytes spill loads\n"
      "ptxas 1 bytes spill stores, 1 bytes spill loads\n",
      "k");
  CHECK(huge.spill_store_bytes == std::numeric_limits<std::uint32_t>::max());
  CHECK(huge.spill_load_bytes == std::numeric_limits<std::uint32_t>::max());
  for (std::size_t length = 0; length < kSpilling.size(); ++length) {
    parse_log(kSpilling.substr(0, length), "k");
    first_error(kSpilling.substr(0, length));
  }
}

TEST_CASE("the first error comes in one form") {
  struct Row {
    std::string_view log;
    std::string_view expected;
  };
  const Row rows[] = {
      {"a/x.cuh(2): error: identifier \"kHidden\" is undefined\n  *p=kHidden;\n",
       "a/x.cuh(2): identifier \"kHidden\" is undefined"},
      {"u.cu(1): warning #177-D: variable \"error\" was declared\nu.cu(9): error #20: no\n",
       "u.cu(9): no"},
      {"u.cu(1): catastrophic error: could not open source file \"y.cuh\" (no directories)\n",
       "u.cu(1): could not open source file \"y.cuh\" (no directories)"},
      {"ptxas application ptx input, line 24; error   : Unknown modifier '.bar'\n"
       "ptxas fatal   : Ptx assembly aborted due to errors\n",
       "ptxas: Unknown modifier '.bar' (PTX line 24)"},
      {"ptxas fatal   : Memory allocation failure\n", "ptxas: Memory allocation failure"},
      {"nvrtc: error: unrecognized option --bogus found\n", "unrecognized option --bogus found"},
      {"1 error detected in the compilation of \"u.cu\".\n", ""},
      {"ptxas info    : Used 8 registers\n", ""},
      {"ptxas fatal", ""},
      {"error", ""},
      {"error #", ""},
      {"", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.log);
    CHECK(first_error(row.log) == row.expected);
  }
}

}  // namespace
}  // namespace jit
