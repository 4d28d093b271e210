// The calls of the GPU tests of fp8_attention, as its front end understands them: none is refused,
// and the kernel of each is the one that was planned.
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_call.hpp"
#include "gpu/fp8_attention_plan.hpp"
#include "kernels/fp8_attention_operands.hpp"

namespace jit::test {
namespace {

using kernels::Fp8AttentionArgs;
using kernels::Fp8AttentionOperands;

// Addresses that nothing is read from, each operand's far from the others'.
class Addresses {
 public:
  template <class T>
  void set(T*& pointer) {
    next_ += std::uintptr_t{1} << 36;
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    pointer = reinterpret_cast<T*>(next_);
  }
  template <class T>
  void set_if(bool there, T*& pointer) {
    if (there) set(pointer);
  }

 private:
  std::uintptr_t next_ = 0;
};

Fp8AttentionArgs call_of(const Fp8Case& fp8) {
  Fp8AttentionArgs args = shapes_of(fp8);
  Addresses addresses;
  addresses.set(args.q);
  addresses.set(args.k);
  addresses.set(args.v);
  addresses.set(args.cu_seqlens_q);
  addresses.set_if(fp8.page_size == 0 && fp8.has_key_places(), args.cu_seqlens_k);
  addresses.set_if(fp8.page_size != 0, args.page_table);
  addresses.set_if(fp8.query_slack >= 0, args.seqused_q);
  addresses.set_if(fp8.has_used_keys(), args.seqused_k);
  addresses.set_if(fp8.sinks, args.sinks);
  addresses.set(args.output);
  addresses.set_if(fp8.has_lse, args.lse);
  addresses.set_if(fp8.fp8(), args.output_scale);
  addresses.set_if(fp8.num_splits != 1, args.workspace);
  if (fp8.num_splits != 1) {
    args.workspace_bytes = kernels::fp8_attention_workspace_bytes(args);
  }
  return args;
}

void check_call(const kernels::OperandCheck& check, const Fp8Case& fp8) {
  const Fp8AttentionArgs args = call_of(fp8);
  CAPTURE(fp8.text());
  const Fp8AttentionOperands operands = kernels::fp8_attention_operands(check, args);
  CHECK_NOTHROW(kernels::check_fp8_attention_memory(check, args, operands));
  const Fp8Signature signature = signature_of(fp8);
  CHECK(operands.k.width == signature.head_dim);
  CHECK(operands.v.width == signature.head_dim_v);
  CHECK(operands.causal == signature.causal);
  CHECK(operands.has_window == signature.window);
  CHECK(operands.pack == signature.packed_heads);
  CHECK(operands.page_rows == signature.page_rows);
  CHECK((operands.max_query_rows() <= 64) == (signature.query_rows <= 64));
  CHECK(operands.element == fp8.output_type());
}

TEST_CASE("the front end takes every planned call of fp8_attention, for the planned kernel",
          "[kernels]") {
  const kernels::OperandCheck check("fp8_attention");
  for (const Fp8Case& fp8 : plan_fp8_cases(Catch::getSeed())) check_call(check, fp8);
  for (const Fp8Case& fp8 : plan_public_fp8_cases(Catch::getSeed())) check_call(check, fp8);
}

}  // namespace
}  // namespace jit::test
