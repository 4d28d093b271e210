#include "runtime/pursuit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace jit::inline v1 {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestPause{1};
constexpr milliseconds kLongestPause{10};

Error error_of(const Attempt::Failure& failure) {
  return {failure.code, failure.message, failure.log, failure.reproduction};
}

}  // namespace

// Under the mutex.
struct Pursuits::Batch {
  std::size_t open = 0;
  WarmUpReport report;
  Clock::time_point begun = Clock::now();
  std::promise<WarmUpReport> promise;  // where nobody waits here
  bool is_awaited = false;
  bool is_cancelled = false;
  struct News {
    std::string kernel;
    WarmUpOutcome outcome;
  };
  std::deque<News> news;  // for one who waits
  std::condition_variable changed;
};

// Dropped before its end it fails.
struct Pursuits::Job {
  Job(Pursuits& owner_, Pursuit pursuit_) : owner(owner_), pursuit(std::move(pursuit_)) {
    const std::lock_guard lock(owner.mutex_);
    owner.jobs_.insert(this);
  }
  ~Job() { owner.drop(*this); }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  std::string name() const { return pursuit.slot->signature.text(); }

  Pursuits& owner;
  Pursuit pursuit;
  std::shared_ptr<Batch> batch{};
  std::string_view verb = "prefetch";
  bool has_standing = false;
  Worker::Turn turn = Worker::Turn::kLast;
  milliseconds pause = kShortestPause;
};

Pursuits::Pursuits(PursuitSteps steps, Logger logger, Clock::duration retry_after)
    : steps_(std::move(steps)), logger_(std::move(logger)), retry_after_(retry_after) {
  join();
  looker_.emplace();
  maker_.emplace();
}

Pursuits::~Pursuits() {
  stop();
  leave();
}

void Pursuits::stop() {
  maker_->stop();
  looker_->stop();
}

Pursuits::Key Pursuits::key_of(const Pursuit& pursuit) {
  return {pursuit.slot, pursuit.capability, pursuit.context, pursuit.options.device};
}

void Pursuits::start_quietly(const Pursuit& wanted) {
  {
    const std::lock_guard lock(mutex_);
    Standing& standing = standings_[key_of(wanted)];
    if (standing.under_way) return;
    if (standing.failure && Clock::now() - standing.failed_at < retry_after_) {
      throw error_of(*standing.failure);
    }
    standing.under_way = true;
  }
  const JobPointer job = make_standing_job(wanted);
  job->verb = "get in the background";
  job->turn = Worker::Turn::kFirst;
  start(job);
}

void Pursuits::start(const Pursuit& wanted) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(standings_[key_of(wanted)].under_way, true)) return;
  }
  start(make_standing_job(wanted));
}

Pursuits::JobPointer Pursuits::make_standing_job(const Pursuit& wanted) {
  try {
    auto job = std::make_shared<Job>(*this, wanted);
    job->has_standing = true;
    return job;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    standings_[key_of(wanted)].under_way = false;  // or nobody could ever ask again
    throw;
  }
}

std::future<WarmUpReport> Pursuits::start(std::vector<Pursuit> wanted) {
  return start_batch(std::move(wanted), false)->promise.get_future();
}

std::shared_ptr<Pursuits::Batch> Pursuits::start_batch(std::vector<Pursuit> wanted,
                                                       bool is_awaited) {
  auto batch = std::make_shared<Batch>();
  batch->is_awaited = is_awaited;
  batch->report.kernels = batch->open = wanted.size();
  if (wanted.empty() && !is_awaited) batch->promise.set_value(batch->report);
  for (Pursuit& pursuit : wanted) {
    auto job = std::make_shared<Job>(*this, std::move(pursuit));
    job->batch = batch;
    start(job);
  }
  return batch;
}

WarmUpReport Pursuits::run(std::vector<Pursuit> wanted, const WarmUpOptions& options) {
  const auto batch = start_batch(std::move(wanted), true);
  std::unique_lock lock(mutex_);
  WarmUpProgress progress;
  progress.total = batch->report.kernels;
  while (progress.done != progress.total) {
    batch->changed.wait(lock, [&] { return !batch->news.empty(); });
    const Batch::News news = std::move(batch->news.front());
    batch->news.pop_front();
    ++progress.done;
    if (!options.progress) continue;
    progress.kernel = news.kernel;
    progress.outcome = news.outcome;
    lock.unlock();
    try {
      options.progress(progress);
    } catch (...) {
      lock.lock();
      batch->is_cancelled = true;
      throw;
    }
    lock.lock();
  }
  return std::move(batch->report);
}

void Pursuits::start(const JobPointer& job) {
  try {
    looker_->post([this, job] { look(job); }, job->turn);
  } catch (const std::exception& error) {
    fail(*job,
         {ErrorCode::kInternal,
          fmt::format("{} {}: {}; free memory or threads", job->verb, job->name(), error.what()),
          {},
          {}});
  }
}

void Pursuits::look(const JobPointer& job) { go_on(job, steps_.look); }
void Pursuits::make(const JobPointer& job) { go_on(job, steps_.make); }

void Pursuits::go_on(const JobPointer& job, const std::function<StepResult(Pursuit&)>& step) {
  if (job->batch != nullptr) {
    const std::lock_guard lock(mutex_);
    if (job->batch->is_cancelled) return;  // nobody hears of it any more
  }
  try {
    follow(job, step(job->pursuit));
  } catch (...) {
    fail(*job, failure_of(std::current_exception()));
  }
}

void Pursuits::follow(const JobPointer& job, StepResult result) {
  switch (result.next) {
    case NextStep::kNone: return finish(*job, result.outcome);
    case NextStep::kLook: return looker_->post([this, job] { look(job); });
    case NextStep::kMake: return maker_->post([this, job] { make(job); }, job->turn);
    case NextStep::kLater: {
      // Nothing is changed once it is posted: by then it is another thread's.
      const milliseconds pause = std::exchange(job->pause, std::min(2 * job->pause, kLongestPause));
      return looker_->post_in(pause, [this, job] { look(job); });
    }
  }
}

void Pursuits::finish(Job& job, WarmUpOutcome outcome) {
  const std::lock_guard lock(mutex_);
  close_locked(job, outcome, nullptr);
}

void Pursuits::fail(Job& job, const Attempt::Failure& failure) {
  {
    const std::lock_guard lock(mutex_);
    close_locked(job, WarmUpOutcome::kFailed, &failure);
  }
  if (failure.code == ErrorCode::kShuttingDown) return;  // nobody's loss
  if (job.batch != nullptr && job.batch->is_awaited) return;
  logger_.warning(fmt::format("{} {}: {}", job.verb, job.name(), failure.message));
}

void Pursuits::drop(Job& job) {
  const std::lock_guard lock(mutex_);
  if (jobs_.contains(&job)) drop_locked(job, "its Runtime has ended before");
}

void Pursuits::drop_locked(Job& job, std::string_view why) {
  const Attempt::Failure failure{
      ErrorCode::kShuttingDown, fmt::format("get {}: {}", job.name(), why), {}, {}};
  close_locked(job, WarmUpOutcome::kFailed, &failure);
}

void Pursuits::close_locked(Job& job, WarmUpOutcome outcome, const Attempt::Failure* failure) {
  if (jobs_.erase(&job) == 0) return;
  Standing& standing = standings_[key_of(job.pursuit)];
  if (job.has_standing) standing.under_way = false;
  standing.failure.reset();
  if (failure != nullptr && failure->code != ErrorCode::kShuttingDown) {
    standing.failure = *failure;
    standing.failed_at = Clock::now();
  }
  if (job.batch == nullptr) return;
  Batch& batch = *job.batch;
  WarmUpReport& report = batch.report;
  switch (outcome) {
    case WarmUpOutcome::kInMemory: ++report.in_memory; break;
    case WarmUpOutcome::kFound: ++report.found; break;
    case WarmUpOutcome::kCompiled: ++report.compiled; break;
    case WarmUpOutcome::kMadeElsewhere: ++report.made_elsewhere; break;
    case WarmUpOutcome::kFailed:
      ++report.failed;
      report.failures.push_back({job.name(), error_of(*failure)});
      break;
  }
  report.elapsed =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - batch.begun);
  --batch.open;
  if (batch.is_awaited) {
    batch.news.push_back({job.name(), outcome});
    batch.changed.notify_one();
  } else if (batch.open == 0) {
    batch.promise.set_value(std::move(report));
  }
}

void Pursuits::after_fork(bool in_child) noexcept {
  if (in_child) {
    // Those jobs live on where nobody sees them: in dropped queues, on stacks of other threads.
    while (!jobs_.empty()) {
      drop_locked(**jobs_.begin(), "its work stayed with the parent of fork(); ask again");
    }
  }
  mutex_.unlock();
}

}  // namespace jit::inline v1
