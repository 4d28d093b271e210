// Fork support: mutexes that are free in a forked child.
#pragma once

#include <mutex>

namespace jit::inline v1 {

// ForkAware is told of every fork() of the process.
//
// before_fork runs in the forking thread and leaves the object in a state that a child can use: it
// takes the object's locks, which after_fork gives back, in parent and child. Objects made last are
// told first: they may wait for work that still needs the older ones.
class ForkAware {
 public:
  ForkAware();
  virtual ~ForkAware();
  ForkAware(const ForkAware&) = delete;
  ForkAware& operator=(const ForkAware&) = delete;

  virtual void before_fork() noexcept = 0;
  virtual void after_fork(bool in_child) noexcept = 0;

 protected:
  // For the destructor of the most derived class, before its members end.
  void leave() noexcept;

 private:
  bool listed_ = true;
};

}  // namespace jit::inline v1
