// The bits that a call of mla_prefill wrote, and what they must be where that is known exactly.
#pragma once

#include <cstddef>
#include <vector>

#include "gpu/mla_prefill_case.hpp"

namespace jit::test {

// What a launch wrote, as bytes with whatever lies between results.
struct MlaBits {
  std::vector<std::byte> output;
  std::vector<std::byte> lse;
  std::vector<std::byte> scales;

  bool operator==(const MlaBits&) const = default;
};
MlaBits bits_of(const MlaOutcome& outcome);

// Of two calls with the same shapes, but strides of their own: how many rows (a head of a token)
// of tokens first .. last - 1 have other bits, the LSE's among them.
struct MlaRows {
  const MlaCase& mla;
  const MlaBits& bits;
};
int other_rows(const MlaRows& a, const MlaRows& b, std::int64_t first, std::int64_t last);
int other_rows(const MlaRows& a, const MlaRows& b);

// What an fp32 output times `inverse_scale` becomes as another type, when it is rounded once.
std::vector<std::byte> rounded_output(const MlaBits& exact, DType type, float inverse_scale);

// Codes and scales of the groups of an fp32 output without gaps, scales row-major.
MlaBits grouped_output(const MlaCase& mla, const MlaBits& exact);

}  // namespace jit::test
