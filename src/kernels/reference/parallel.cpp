#include "kernels/reference/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace jit::inline v1::reference {

unsigned workers_for(std::int64_t items, unsigned threads) {
  const unsigned wanted =
      threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  return static_cast<unsigned>(std::clamp<std::int64_t>(items, 1, std::int64_t{wanted}));
}

void parallel_for(std::int64_t items, unsigned threads,
                  const std::function<void(std::int64_t item, unsigned worker)>& item) {
  std::atomic<std::int64_t> next{0};
  const auto work = [&](unsigned worker) {
    for (std::int64_t i = next++; i < items; i = next++) item(i, worker);
  };
  std::vector<std::thread> started;
  for (unsigned worker = 1; worker < workers_for(items, threads); ++worker) {
    started.emplace_back(work, worker);
  }
  work(0);
  for (std::thread& thread : started) thread.join();
}

}  // namespace jit::inline v1::reference
