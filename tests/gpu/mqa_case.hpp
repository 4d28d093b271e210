// MqaCase: one call of mqa_logits, and the verdict on what it did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"
#include "gpu/mqa_tools.hpp"
#include "jit/value.hpp"
#include "kernels/reference/mqa_logits.hpp"

namespace jit::test {

struct MqaCase {
  std::int64_t tokens = 1;
  std::int64_t keys = 1;
  std::int64_t num_heads = 64;
  std::int64_t head_dim = 128;
  DType type = DType::kF32;
  bool compressed = false;
  bool clean = false;
  bool programmatic = true;
  std::int64_t workers = 0;            // 0: as many as there are multiprocessors
  std::vector<std::int32_t> starts{};  // [tokens]; may lie below 0 and beyond the keys, ends too
  std::vector<std::int32_t> ends{};
  std::int64_t width = 0;        // of a row of logits; 0 means keys
  std::int64_t row_padding = 0;  // Units: elements
  ScalePattern scales = ScalePattern::kOrdinary;
  WeightPattern weights = WeightPattern::kOrdinary;
  std::byte poison{0xFF};  // of the logits before the launch
  std::uint64_t seed = 0;

  std::int64_t logits_width() const noexcept { return width == 0 ? keys : width; }
  std::int64_t logits_stride() const noexcept { return logits_width() + row_padding; }
  std::string text() const;
};

// The operands of a case on the host; the ranges are the case's.
struct MqaInputs {
  std::vector<std::byte> query;
  std::vector<std::byte> keys;
  std::vector<float> scales;
  std::vector<float> weights;
};

// Fresh random operands. Keys that no row sees, and their scales, are NaN or infinite.
MqaInputs make_inputs(const MqaCase& mqa);

reference::MqaProblem problem_of(const MqaCase& mqa, const MqaInputs& inputs);

// All buffers after the launch.
struct MqaOutcome {
  Image query;
  Image keys;
  Image scales;
  Image weights;
  Image starts;
  Image ends;
  Image logits;
};

struct MqaVerdict {
  std::string wrong;  // empty if everything is as it must be
  reference::MqaCheck check;
};

// Compares with the float64 reference on `threads` threads; looks at guard bands, at inputs and at
// all positions that must not be written.
MqaVerdict judge(const MqaCase& mqa, const MqaInputs& inputs, const MqaOutcome& outcome,
                 unsigned threads = 1);

}  // namespace jit::test
