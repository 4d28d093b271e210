// WorkQueue: which order is next, and what becomes of one whose worker was lost.
//
// The rule:
//   crashed, timed out   tried once more, after all others, in a fresh process; then set aside
//   out of memory        tried once more, after all others and alone; then set aside
//   killed from outside  tried again after all others, from its third time on alone; set aside
//   after
//                        the sixteenth, which no killer that comes by once a second reaches
// An order that waited behind the lost one had not been begun: it goes first, and nothing is
// counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

namespace jit::inline v1 {

// How a worker was lost.
enum class Loss : std::uint8_t { kCrashed, kTimedOut, kOutOfMemory, kKilled };
std::string_view name_of(Loss loss) noexcept;  // "timed_out"

// Pure but for the time that it is told. Threads: one.
class WorkQueue {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A postponed order is asked for again after this long.
  static constexpr std::chrono::milliseconds kPause{50};
  static constexpr unsigned kMaxKills = 16;
  static constexpr unsigned kKillsBesideOthers = 2;

  // Orders 0 to count - 1, given in this sequence.
  explicit WorkQueue(std::size_t count);

  struct Next {
    std::size_t order = 0;
    bool fresh = false;  // in a process that has done nothing yet
    bool alone = false;  // with no other order out; none is handed out beside it
  };
  // The next one to hand out; nullopt if there is none now. It is out until one of the calls below.
  std::optional<Next> take(Time now);

  // True if so many have never been handed out that one may wait behind another at a worker.
  bool plenty(std::size_t workers) const noexcept { return first_.size() > workers; }

  void finish(std::size_t order);
  void give_back(std::size_t order);           // not begun
  void postpone(std::size_t order, Time now);  // another process is at it
  // Returns: true if it will be tried again, false if it is set aside, which finishes it.
  bool lose(std::size_t order, Loss loss);

  bool done() const noexcept { return unfinished_ == 0; }
  std::size_t unfinished() const noexcept { return unfinished_; }
  // When a postponed order is due, if that is all that is left to hand out.
  std::optional<Time> due() const noexcept;
  // How often an order was lost so far.
  unsigned losses(std::size_t order) const noexcept;

 private:
  struct History {
    std::uint8_t kills = 0;
    std::uint8_t others = 0;  // crashes, timeouts, out of memory: each is had but once
  };
  struct Waiting {
    std::size_t order;
    Time since;
  };

  std::deque<std::size_t> first_;  // never handed out, or not begun
  std::deque<std::size_t> again_;  // lost; after first_
  std::deque<Waiting> postponed_;  // after again_
  std::deque<std::size_t> alone_;  // after all
  std::vector<History> histories_;
  std::vector<bool> fresh_;
  std::size_t out_ = 0;
  bool alone_is_out_ = false;
  std::size_t unfinished_;
};

}  // namespace jit::inline v1
