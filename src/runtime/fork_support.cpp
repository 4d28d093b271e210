#include "runtime/fork_support.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace jit::inline v1 {
namespace {

struct Listed {
  std::mutex mutex;
  std::vector<ForkAware*> objects;
};

// Never destroyed: a fork may come after main has returned.
Listed& listed() {
  static auto* const instance = new Listed;
  return *instance;
}

// Made when the library is loaded: a fork while some thread makes it at its first use would leave
// the child waiting for that thread for ever.
[[maybe_unused]] const Listed& kMadeAtLoad = listed();

void prepare() {
  listed().mutex.lock();
  // The youngest first: a worker comes to rest before the locks that its job may still need.
  const auto& objects = listed().objects;
  std::for_each(objects.rbegin(), objects.rend(), [](ForkAware* object) { object->before_fork(); });
}

void finish(bool in_child) {
  const auto& objects = listed().objects;
  for (ForkAware* object : objects) object->after_fork(in_child);
  listed().mutex.unlock();
}

void end() {
  const std::lock_guard lock(listed().mutex);
  for (ForkAware* object : listed().objects) object->at_exit();
}

[[maybe_unused]] const int kEnd = std::atexit(end);
[[maybe_unused]] const int kHandlers = pthread_atfork(
    prepare, [] { finish(false); }, [] { finish(true); });

}  // namespace

void ForkAware::join() {
  const std::lock_guard lock(listed().mutex);
  listed().objects.push_back(this);
  listed_ = true;
}

ForkAware::~ForkAware() { leave(); }

void ForkAware::leave() noexcept {
  if (!listed_) return;
  const std::lock_guard lock(listed().mutex);
  auto& objects = listed().objects;
  objects.erase(std::remove(objects.begin(), objects.end(), this), objects.end());
  listed_ = false;
}

}  // namespace jit::inline v1
