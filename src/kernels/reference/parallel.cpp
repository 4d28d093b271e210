#include "kernels/reference/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
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
  std::mutex mutex;  // of this call, in which no child of fork() ever is
  std::exception_ptr failure;
  const auto work = [&](unsigned worker) {
    try {
      for (std::int64_t i = next++; i < items; i = next++) item(i, worker);
    } catch (...) {
      next = items;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::jthread> started;  // ends well too where the next thread cannot be had
  for (unsigned worker = 1; worker < workers_for(items, threads); ++worker) {
    started.emplace_back(work, worker);
  }
  work(0);
  started.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace jit::inline v1::reference
