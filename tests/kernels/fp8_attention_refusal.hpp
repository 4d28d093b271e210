// What tests of fp8_attention's refusals share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/fp8_attention_args.hpp"

namespace jit::testing {

struct Fp8Refusals {
  using Args = kernels::Fp8AttentionArgs;
  using Change = std::function<void(Args&)>;

  // What fp8_attention says to `args` that are changed so; "no driver" if nothing.
  static std::string said_of(Args args, const Change& change) {
    change(args);
    return refusal_without_driver(
        [&](Runtime& runtime) { kernels::fp8_attention(runtime, args, nullptr); });
  }
  static std::string said(const Change& change) { return said_of(fp8_args(), change); }
  static std::string said_paged(const Change& change) { return said_of(paged_fp8_args(), change); }

  struct Row {
    Change change;
    const char* says;
  };
  static void check(const std::vector<Row>& rows) { check(fp8_args(), rows); }
  static void check_paged(const std::vector<Row>& rows) { check(paged_fp8_args(), rows); }

 private:
  static void check(const Args& args, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      CHECK(said_of(args, row.change) == std::string("launch fp8_attention: ") + row.says);
    }
  }
};

}  // namespace jit::testing
