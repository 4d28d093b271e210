// The grid of mla_prefill: every kernel that its shape constants give, with batches, layouts and
// contents of every kind.
#pragma once

#include <set>
#include <vector>

#include "gpu/mla_prefill_case.hpp"

namespace jit::test {

// The constants that choose a kernel.
struct MlaSignature {
  std::int64_t head_dim, head_dim_v;
  bool rope_apart, causal;
  DType type;  // bf16 for e4m3
  bool fp8;
  std::int64_t group;
  bool ue8m0, programmatic;
  std::int64_t rows_in_bucket;  // query tokens times heads; stands for its bucket

  auto operator<=>(const MlaSignature&) const = default;
};
MlaSignature signature_of(const MlaCase& mla);
std::vector<Constant> constants_of(const MlaSignature& signature);

// Of all cases, and of the calls with bf16 output that FP8 ones are compared with; those that
// launch nothing have none.
std::set<MlaSignature> signatures_of(const std::vector<MlaCase>& cases);

// The call with bf16 output that an FP8 one is compared with.
MlaCase unquantised(const MlaCase& mla);

// Each kernel with several calls, everything else drawn at random.
std::vector<MlaCase> plan_mla_cases(std::uint64_t seed);

}  // namespace jit::test
