// A block on the host: what device code needs of CUDA when its threads meet, so that a template's
// own text runs in a test with barriers, exchanges and shared memory.
//
// Each thread has a stack of its own and runs until it meets others; it goes on when they have
// come. As strict as it can be: threads that wait for some that have left, or that wait elsewhere,
// are an error. Shared memory is static; so one block runs at a time.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "warp.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define __shared__ static

namespace jit::test {

// Stack is one to switch to and from.
class Stack {
 public:
  Stack() = default;
  explicit Stack(void (*entry)()) : memory_(new char[kBytes]) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = memory_.get();
    context_.uc_stack.ss_size = kBytes;
    makecontext(&context_, entry, 0);
#if defined(__SANITIZE_THREAD__)
    fiber_ = __tsan_create_fiber(0);
#endif
  }
  ~Stack() {
#if defined(__SANITIZE_THREAD__)
    if (memory_) __tsan_destroy_fiber(fiber_);
#endif
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Goes on where `to` was left, until somebody comes back here.
  void switch_to(Stack& to, [[maybe_unused]] bool comes_back = true) {
#if defined(__SANITIZE_THREAD__)
    if (!memory_) fiber_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.fiber_, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
    const void* const bottom = to.memory_ ? to.memory_.get() : to.bottom_;
    const std::size_t bytes = to.memory_ ? kBytes : to.bytes_;
    // Without a place for it, what the sanitizer keeps of this stack is freed.
    __sanitizer_start_switch_fiber(comes_back ? &fake_ : nullptr, bottom, bytes);
#endif
    swapcontext(&context_, &to.context_);
    arrived(to);
  }
  // To be said first on a new stack, which `from` has switched to.
  void arrived([[maybe_unused]] Stack& from) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_, from.memory_ ? nullptr : &from.bottom_,
                                    from.memory_ ? nullptr : &from.bytes_);
#endif
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{128} << 10;
  std::unique_ptr<char[]> memory_;  // null: the test's own stack
  ucontext_t context_{};
#if defined(__SANITIZE_THREAD__)
  void* fiber_ = nullptr;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
#endif
};

class Block {
 public:
  using Values = std::array<unsigned int, kLanes>;

  // Runs `body` as the threads of one block. Requires: whole warps.
  // Errors: std::logic_error if threads wait for others in vain; what the body throws.
  static void run(unsigned threads, std::function<void()> body) {
    Block block(threads, std::move(body));
    current() = &block;
    Warp::exchange_elsewhere() = [](unsigned value, unsigned distance) {
      const unsigned lane = Warp::thread_index().x % kLanes;
      return current()->exchange(value)[lane ^ distance];
    };
    const bool all_left = block.run_all();
    current() = nullptr;
    if (block.failure_) std::rethrow_exception(block.failure_);
    if (!all_left) {
      throw std::logic_error("block: threads wait for others that have left or wait elsewhere");
    }
  }
  static Block*& current() {
    static thread_local Block* block = nullptr;
    return block;
  }

  // What the lanes of the calling warp published.
  const Values& exchange(unsigned int value) {
    Thread& thread = *threads_[running_];
    Values& values = warps_[running_ / kLanes][thread.exchanges++ % 2];
    values[running_ % kLanes] = value;
    meet(State::kAtWarp);
    return values;
  }
  void synchronize_warp() { meet(State::kAtWarp); }
  void synchronize_block() { meet(State::kAtBlock); }
  // Lets the other threads run that can.
  void yield() { meet(State::kReady); }

 private:
  enum class State { kReady, kAtWarp, kAtBlock, kLeft };
  struct Thread {
    Stack stack{&Block::enter};
    State state = State::kReady;
    unsigned exchanges = 0;
  };

  Block(unsigned threads, std::function<void()> body)
      : body_(std::move(body)), warps_(threads / kLanes) {
    if (threads % kLanes != 0) throw std::logic_error("block: no whole warps");
    for (unsigned i = 0; i < threads; ++i) threads_.push_back(std::make_unique<Thread>());
  }

  static void enter() {
    Block& block = *current();
    Thread& thread = *block.threads_[block.running_];
    thread.stack.arrived(block.home_);
    try {
      block.body_();
    } catch (...) {
      block.failure_ = std::current_exception();
    }
    thread.state = State::kLeft;
    thread.stack.switch_to(block.home_, false);
  }
  void meet(State where) {
    Thread& thread = *threads_[running_];
    thread.state = where;
    thread.stack.switch_to(home_);
  }

  bool run_all() {
    for (bool moved = true; moved && !failure_;) {
      moved = false;
      for (running_ = 0; running_ < threads_.size() && !failure_; ++running_) {
        if (threads_[running_]->state != State::kReady) continue;
        Warp::thread_index().x = running_;
        home_.switch_to(threads_[running_]->stack);
        moved = true;
      }
      for (unsigned first = 0; first < threads_.size(); first += kLanes) {
        release(first, kLanes, State::kAtWarp);
      }
      release(0, static_cast<unsigned>(threads_.size()), State::kAtBlock);
    }
    return std::all_of(threads_.begin(), threads_.end(),
                       [](const auto& thread) { return thread->state == State::kLeft; });
  }
  void release(unsigned first, unsigned count, State from) {
    for (unsigned i = first; i < first + count; ++i) {
      if (threads_[i]->state != from) return;
    }
    for (unsigned i = first; i < first + count; ++i) threads_[i]->state = State::kReady;
  }

  std::function<void()> body_;
  std::vector<std::array<Values, 2>> warps_;  // two: a lane may be one exchange ahead
  std::vector<std::unique_ptr<Thread>> threads_;
  Stack home_;
  unsigned running_ = 0;
  std::exception_ptr failure_;
};

inline const Block::Values& exchange_of_all(unsigned int mask, unsigned int value) {
  if (mask != 0xFFFFFFFFu) throw std::logic_error("exchange: not by all lanes");
  return Block::current()->exchange(value);
}

}  // namespace jit::test

inline void __syncthreads() { ::jit::test::Block::current()->synchronize_block(); }
inline void __syncwarp() { ::jit::test::Block::current()->synchronize_warp(); }
inline unsigned int __shfl_sync(unsigned int mask, unsigned int value, unsigned int lane) {
  return ::jit::test::exchange_of_all(mask, value)[lane % ::jit::test::kLanes];
}
inline unsigned int __shfl_up_sync(unsigned int mask, unsigned int value, unsigned int distance) {
  const unsigned int lane = threadIdx.x % ::jit::test::kLanes;
  const auto& values = ::jit::test::exchange_of_all(mask, value);
  return lane < distance ? value : values[lane - distance];
}
inline unsigned int __reduce_add_sync(unsigned int mask, unsigned int value) {
  unsigned int sum = 0;
  for (const unsigned int each : ::jit::test::exchange_of_all(mask, value)) sum += each;
  return sum;
}
