#include "cubinet/precompile/work_queue.hpp"

#include <numeric>

namespace jit::inline v1 {

std::string_view name_of(Loss loss) noexcept {
  switch (loss) {
    case Loss::kCrashed: return "crashed";
    case Loss::kTimedOut: return "timed_out";
    case Loss::kOutOfMemory: return "out_of_memory";
    case Loss::kKilled: return "killed";
  }
  return "?";
}

WorkQueue::WorkQueue(std::size_t count)
    : first_(count), histories_(count), fresh_(count, false), unfinished_(count) {
  std::iota(first_.begin(), first_.end(), std::size_t{0});
}

std::optional<WorkQueue::Next> WorkQueue::take(Time now) {
  if (alone_is_out_) return std::nullopt;
  const auto pop = [](std::deque<std::size_t>& orders) {
    const std::size_t order = orders.front();
    orders.pop_front();
    return order;
  };
  Next next;
  if (!first_.empty()) {
    next.order = pop(first_);
  } else if (!again_.empty()) {
    next.order = pop(again_);
  } else if (!postponed_.empty()) {
    if (now < postponed_.front().since + kPause) return std::nullopt;
    next.order = postponed_.front().order;
    postponed_.pop_front();
  } else if (!alone_.empty() && out_ == 0) {
    next.order = pop(alone_);
    next.alone = alone_is_out_ = true;
  } else {
    return std::nullopt;
  }
  next.fresh = fresh_[next.order] || next.alone;
  ++out_;
  return next;
}

void WorkQueue::finish(std::size_t) {
  --out_;
  --unfinished_;
  alone_is_out_ = false;
}

void WorkQueue::give_back(std::size_t order) {
  --out_;
  alone_is_out_ = false;
  first_.push_front(order);
}

void WorkQueue::postpone(std::size_t order, Time now) {
  --out_;
  alone_is_out_ = false;
  postponed_.push_back({order, now});
}

bool WorkQueue::lose(std::size_t order, Loss loss) {
  History& history = histories_[order];
  const bool killed = loss == Loss::kKilled;
  const unsigned times = killed ? ++history.kills : ++history.others;
  if (times >= (killed ? kMaxKills : 2)) {
    finish(order);
    return false;
  }
  --out_;
  alone_is_out_ = false;
  if (!killed) fresh_[order] = true;
  const bool alone = loss == Loss::kOutOfMemory || (killed && times > kKillsBesideOthers);
  (alone ? alone_ : again_).push_back(order);
  return true;
}

std::optional<WorkQueue::Time> WorkQueue::due() const noexcept {
  if (alone_is_out_ || !first_.empty() || !again_.empty() || postponed_.empty()) {
    return std::nullopt;
  }
  return postponed_.front().since + kPause;
}

unsigned WorkQueue::losses(std::size_t order) const noexcept {
  return unsigned{histories_[order].kills} + histories_[order].others;
}

}  // namespace jit::inline v1
