// Fork support: mutexes that are free in a forked child; and a last word before the process ends.
#pragma once

#include <mutex>

namespace jit::inline v1 {

// ForkAware is told of every fork() of the process, and of its exit.
//
// before_fork runs in the forking thread and leaves the object in a state that a child can use: it
// takes the object's locks, which after_fork gives back, in parent and child. Objects made last are
// told first: they may wait for work that still needs the older ones.
class ForkAware {
 public:
  ForkAware() = default;
  virtual ~ForkAware();
  ForkAware(const ForkAware&) = delete;
  ForkAware& operator=(const ForkAware&) = delete;

  virtual void before_fork() noexcept = 0;
  virtual void after_fork(bool in_child) noexcept = 0;
  // Exit has begun; other threads may still run. For what is never destroyed.
  virtual void at_exit() noexcept {}

 protected:
  // For the constructor of the most derived class, as its last act: no fork may meet half an
  // object.
  void join();
  // For its destructor, before its members end.
  void leave() noexcept;

 private:
  bool listed_ = false;
};

}  // namespace jit::inline v1
