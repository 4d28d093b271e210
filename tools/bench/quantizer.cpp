#include "bench/quantizer.hpp"

#include <algorithm>

#include "bench/templates/quantize_e4m3/params.h"
#include "kernels/reference/attention_judge.hpp"
#include "kernels/reference/element.hpp"

namespace jit::inline v1 {

Quantizer::Quantizer(Runtime& runtime, DType type, std::int64_t packs_per_thread) {
  const std::array<Constant, 3> constants{
      {{"INPUT_TYPE", type}, {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}, {"PACKS", packs_per_thread}}};
  kernel_ = runtime.get_kernel("quantize_e4m3", constants);
}

std::int64_t Quantizer::packs_per_thread() const {
  return kernel_.info().constant("PACKS").as_int();
}

void Quantizer::launch(const QuantizerOperands& operands, Stream stream) const {
  const std::uint64_t packs = operands.from.size_bytes() / 16;
  const auto threads = static_cast<std::uint32_t>(kernel_.info().constant("THREADS").as_int());
  const std::uint64_t per_block = threads * static_cast<std::uint64_t>(packs_per_thread());
  const cubinet::quantize_e4m3::Params params{operands.from.as<void>(), operands.to.as<void>(),
                                              operands.scale.as<float>(), packs};
  LaunchConfig config;
  config.grid = Dim3(static_cast<std::uint32_t>((packs + per_block - 1) / per_block));
  config.block = Dim3(threads);
  config.stream = stream;
  config.programmatic_dependent = true;
  kernel_.launch(config, params);
}

std::int64_t first_wrong_code(std::span<const std::byte> values, std::span<const std::byte> codes,
                              float scale) {
  constexpr std::size_t kOfEachEnd = std::size_t{1} << 18;
  const float inverse = 1.0F / scale;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (i == kOfEachEnd) i = std::max(i, codes.size() - std::min(codes.size(), kOfEachEnd));
    const auto value = static_cast<float>(reference::load_element(DType::kBF16, values.data(), i));
    // The kernel's product is rounded to fp32 before it is quantised.
    const std::uint8_t right = reference::quantise_to_e4m3(value * inverse, 1.0F);
    if (codes[i] != static_cast<std::byte>(right)) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace jit::inline v1
