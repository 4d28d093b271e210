// FlightLock: one process per node compiles a key, the others wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cache/directory.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {

enum class LockState : std::uint8_t {
  kAcquired,     // this claim leads: look again, then compile and publish
  kTimedOut,     // another still leads at the deadline: compile for yourself
  kUnavailable,  // there is no lock to be had here: compile for yourself
};
std::string_view name_of(LockState state) noexcept;

// FlightLock is a claim on one key, held through an open-file-description lock on one byte of a
// lock file, each claim through a descriptor of its own: claims of one process exclude each other
// as well. The kernel releases the lock when its holder dies, however it dies.
//
// The lock file is <root>/v2/locks where the file system is a local one, else it lies in a
// directory of this user on this node ($XDG_RUNTIME_DIR/cubinet, /dev/shm/cubinet-<uid>,
// /tmp/cubinet-<uid>). It is never unlinked. A failure to lock is never an error: correctness does
// not rest on it. Fork: a child's copy of a claim is void: its descriptor is closed in the child,
// without unlocking, so that the child does not keep the lock alive after the parent's death.
class FlightLock {
 public:
  using Clock = std::chrono::steady_clock;

  // Waits until the claim is ours or `deadline` has come; a deadline in the past asks once.
  // Nothing is written if `directory` is read-only: that is kUnavailable.
  // Cost: three opens when free; a waiter asks every 1 to 10 ms.
  static FlightLock acquire(const Directory& directory, const UnitKey& key,
                            Clock::time_point deadline) noexcept;

  FlightLock(FlightLock&&) noexcept;
  FlightLock& operator=(FlightLock&&) noexcept;
  FlightLock(const FlightLock&) = delete;
  FlightLock& operator=(const FlightLock&) = delete;
  ~FlightLock();

  LockState state() const noexcept { return state_; }
  // True if another held the lock when we asked first.
  bool waited() const noexcept { return waited_; }
  // Why kUnavailable; one line.
  const std::string& reason() const noexcept { return reason_; }
  // Lets the next one lead; does nothing unless kAcquired. The destructor does the same.
  void release() noexcept;

 private:
  struct Claim;
  FlightLock() noexcept;
  void wait(const Directory& directory, const UnitKey& key, Clock::time_point deadline);

  std::unique_ptr<Claim> claim_;
  LockState state_ = LockState::kUnavailable;
  bool waited_ = false;
  std::string reason_;
};

}  // namespace jit::inline v1
