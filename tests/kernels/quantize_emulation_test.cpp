// The static quantisation kernel of benchmarks, its own text on the host.
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/emulation/warp.hpp"
#include "kernels/reference/attention_judge.hpp"
#include "kernels/reference/element.hpp"
#include "quantize_e4m3/quantize_e4m3.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::quantize_e4m3;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <class Type, int PACKS_, bool DEPENDENT>
struct Config {
  using INPUT_TYPE = Type;
  static constexpr int THREADS = 128;
  static constexpr int PACKS = PACKS_;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = DEPENDENT;
};
// NOLINTEND(readability-identifier-naming)
using cubinet::bf16;
using cubinet::f16;

TEMPLATE_TEST_CASE("the quantiser writes each code once, however many packs a thread has",
                   "[kernels][emulation]", (Config<bf16, 1, false>), (Config<bf16, 2, true>),
                   (Config<bf16, 4, true>), (Config<bf16, 8, true>), (Config<f16, 4, true>),
                   (Config<float, 2, false>)) {
  using Input = typename TestType::INPUT_TYPE;
  const DType type = sizeof(Input) == 4                       ? DType::kF32
                     : cubinet::is_same<Input, cubinet::bf16> ? DType::kBF16
                                                              : DType::kF16;
  constexpr unsigned kPerPack = 16 / sizeof(Input);
  constexpr unsigned kPacks = 3 * TestType::THREADS * TestType::PACKS - 37;
  constexpr unsigned kElements = kPacks * kPerPack;
  constexpr std::uint8_t kGuard = 0xA5;
  std::mt19937_64 random(TestType::PACKS);
  std::normal_distribution<double> normal(0, 20);  // some saturate
  std::vector<Input> values(kElements);
  for (unsigned i = 0; i < kElements; ++i) {
    reference::store_element(type, values.data(), i, normal(random));
  }
  std::vector<std::uint8_t> codes(kElements + 64, kGuard);
  const float scale = 0.1F;
  const device::Params params{values.data(), codes.data(), &scale, kPacks};
  for (unsigned block = 0; block < 3; ++block) {
    Warp::block_index().x = block;
    for (unsigned thread = 0; thread < TestType::THREADS; thread += kLanes) {
      Warp::run(thread, [&] { device::run<TestType>(params); });
    }
  }
  std::size_t wrong = 0;
  for (unsigned i = 0; i < kElements; ++i) {
    const auto value = static_cast<float>(reference::load_element(type, values.data(), i));
    // The product is rounded to fp32 before it is quantised.
    const float product = value * (1.0F / scale);
    if (codes[i] != reference::quantise_to_e4m3(static_cast<double>(product), 1.0F)) ++wrong;
  }
  CHECK(wrong == 0);
  for (unsigned i = kElements; i < codes.size(); ++i) CHECK(codes[i] == kGuard);
}

}  // namespace
}  // namespace jit::test
