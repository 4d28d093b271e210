#include "cache/single_flight.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/file.hpp"
#include "cache/file_lock.hpp"
#include "cache/layout.hpp"
#include "cache/lock_place.hpp"

namespace jit::inline v1 {

// A descriptor of a lock file. Listed while it is open, so that a forked child finds it.
struct FlightLock::Claim {
  int fd = -1;
  pid_t owner = 0;
  off_t offset = 0;
  Claim* previous = nullptr;
  Claim* next = nullptr;

  // Returns: 0, or errno.
  static int open(Claim& claim, const TrustedDirectory& place, const UnitKey& key);
  static void close(Claim& claim) noexcept;
  int try_lock() const noexcept;

  struct Registry {
    std::mutex mutex;
    Claim* first = nullptr;
  };
  static Registry& registry();
  static const bool kRegistryMade;
  static void forget_all_in_child() noexcept;
};

namespace {

using std::chrono::milliseconds;

// Two keys that share a byte would merely wait for each other.
off_t offset_of(const UnitKey& key) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof bits; ++i) bits = bits << 8 | key.bytes[i];
  return static_cast<off_t>(bits >> 2);
}

}  // namespace

// Never destroyed: a thread may hold a claim while the process exits.
FlightLock::Claim::Registry& FlightLock::Claim::registry() {
  static Registry* const registry = [] {
    auto* made = new Registry;
    // No claim may be half-made at a fork: the child would inherit a descriptor that nobody lists,
    // and keep the lock alive when its parent dies.
    ::pthread_atfork([] { Claim::registry().mutex.lock(); },
                     [] { Claim::registry().mutex.unlock(); }, [] { forget_all_in_child(); });
    return made;
  }();
  return *registry;
}

// Made when the library is loaded: a fork while some thread makes it at its first use would leave
// the child waiting for that thread for ever.
const bool FlightLock::Claim::kRegistryMade = (static_cast<void>(registry()), true);

void FlightLock::Claim::forget_all_in_child() noexcept {
  Registry& all = registry();
  for (Claim* claim = all.first; claim != nullptr;) {
    // Closed, not unlocked: the lock belongs to the open file, which the parent still has.
    static_cast<void>(::close(claim->fd));
    claim->fd = -1;
    claim = std::exchange(claim->next, nullptr);
  }
  all.first = nullptr;
  all.mutex.unlock();
}

int FlightLock::Claim::open(Claim& claim, const TrustedDirectory& place, const UnitKey& key) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  claim.fd = open_lock_file(place, kLockFile).release();
  if (claim.fd < 0) return errno;
  claim.owner = ::getpid();
  claim.offset = offset_of(key);
  claim.next = all.first;
  if (claim.next != nullptr) claim.next->previous = &claim;
  all.first = &claim;
  return 0;
}

void FlightLock::Claim::close(Claim& claim) noexcept {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  if (claim.fd < 0) return;
  // The unlock reaches copies of the descriptor in children that no fork handler saw (clone).
  if (claim.owner == ::getpid()) static_cast<void>(set_lock(claim.fd, F_UNLCK, claim.offset, 1));
  static_cast<void>(::close(std::exchange(claim.fd, -1)));
  if (claim.next != nullptr) claim.next->previous = claim.previous;
  (claim.previous != nullptr ? claim.previous->next : all.first) = claim.next;
}

int FlightLock::Claim::try_lock() const noexcept { return set_lock(fd, F_WRLCK, offset, 1); }

std::string_view name_of(LockState state) noexcept {
  switch (state) {
    case LockState::kAcquired: return "acquired";
    case LockState::kTimedOut: return "timed_out";
    case LockState::kUnavailable: return "unavailable";
  }
  return "?";
}

FlightLock::FlightLock() noexcept = default;
FlightLock::FlightLock(FlightLock&&) noexcept = default;

FlightLock& FlightLock::operator=(FlightLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  claim_ = std::move(other.claim_);
  state_ = other.state_;
  waited_ = other.waited_;
  reason_ = std::move(other.reason_);
  return *this;
}

FlightLock::~FlightLock() { release(); }

void FlightLock::release() noexcept {
  if (!claim_) return;
  Claim::close(*claim_);
  claim_.reset();
}

FlightLock FlightLock::acquire(const Directory& directory, const UnitKey& key,
                               Clock::time_point deadline) noexcept {
  FlightLock lock;
  try {
    lock.wait(directory, key, deadline);
  } catch (const std::exception&) {
    lock.state_ = LockState::kUnavailable;  // out of memory
  }
  if (lock.state_ != LockState::kAcquired) lock.release();
  return lock;
}

void FlightLock::wait(const Directory& directory, const UnitKey& key, Clock::time_point deadline) {
  const TrustedDirectory place = open_lock_place(directory.options());
  if (!place) {
    reason_ = fmt::format("lock: {}", place.why);
    return;
  }
  claim_ = std::make_unique<Claim>();
  if (const int error = Claim::open(*claim_, place, key); error != 0) {
    reason_ = fmt::format("lock {}/locks: {}", place.path, error_text(error));
    return;
  }
  milliseconds pause{1};
  while (true) {
    const int error = claim_->try_lock();
    if (error == 0) {
      state_ = LockState::kAcquired;
      return;
    }
    if (error != EAGAIN) {
      reason_ = fmt::format("lock {}/locks: {}", place.path, error_text(error));
      return;
    }
    waited_ = true;
    const Clock::duration left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) {
      state_ = LockState::kTimedOut;
      return;
    }
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, left));
    pause = std::min(2 * pause, milliseconds{10});
  }
}

}  // namespace jit::inline v1
