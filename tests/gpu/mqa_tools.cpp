#include "gpu/mqa_tools.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "gpu/gpu.hpp"

namespace jit::test {

const MqaPool& mqa_pool(std::int64_t head_dim) {
  static std::mutex mutex;
  static std::map<std::int64_t, std::unique_ptr<MqaPool>> pools;
  const std::lock_guard lock(mutex);
  std::unique_ptr<MqaPool>& pool = pools[head_dim];
  if (!pool) pool = std::make_unique<MqaPool>(head_dim, run_seed());
  return *pool;
}

std::vector<std::string> run_on_threads(std::size_t count,
                                        const std::function<std::string(std::size_t)>& item) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::vector<std::string> wrong;
  const auto run_one = [&](std::size_t i) {
    std::string found;
    try {
      found = item(i);
    } catch (const std::exception& error) {
      found = error.what();
    }
    if (found.empty()) return;
    const std::lock_guard lock(mutex);
    wrong.push_back(std::move(found));
  };
  std::vector<std::thread> threads;
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < std::min(count, processors); ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < count; at = next++) run_one(at);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

void apply_pattern(ScalePattern pattern, std::uint64_t random, std::span<std::byte> codes,
                   std::byte* scale) {
  float value = 0;
  std::memcpy(&value, scale, sizeof(value));
  const std::uint64_t chance = random % 64;
  if (pattern == ScalePattern::kExtreme) {
    const int exponent = static_cast<int>((random >> 8) % 181) - 100;
    value = chance == 0 ? 0.0F : std::ldexp(value, exponent);
  }
  if (pattern == ScalePattern::kNaN && chance == 0) {
    value = std::numeric_limits<float>::quiet_NaN();
  }
  if (pattern == ScalePattern::kNaN && chance == 1) {
    codes[(random >> 8) % codes.size()] =
        (random >> 32) % 2 == 0 ? std::byte{0x7F} : std::byte{0xFF};
  }
  std::memcpy(scale, &value, sizeof(value));
}

void apply_pattern(WeightPattern pattern, std::uint64_t seed, std::int64_t num_heads,
                   std::span<float> weights) {
  std::mt19937_64 engine(seed);
  const auto heads = static_cast<std::size_t>(num_heads);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (pattern == WeightPattern::kNegative) weights[i] = -std::fabs(weights[i]);
    if (pattern != WeightPattern::kSparse) continue;
    if (engine() % 10 != 0 || i / heads % 3 == 1) weights[i] = 0.0F;
  }
}

std::string failure_of(const reference::MqaCheck& check, DType logits_type) {
  return check.passed(logits_type) ? std::string{} : check.text();
}

}  // namespace jit::test
