// Housekeeper: keeps the cache directory within its bounds, off everybody's path.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/log.hpp"
#include "cache/directory.hpp"
#include "cache/eviction.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/worker.hpp"

namespace jit::inline v1 {

// Told of every publish, it looks at the directory in the background when that is due: after the
// first publish of this process; then after each 1/64 of the room that was left under the cap, but
// not more often than each 1/1024 of the cap; and when the free space comes near its floor, or the
// system says that disk or quota is full, unless that was in vain less than a minute ago. So 64
// processes that publish at once still keep the cap, and one process looks at 100,000 entries once
// in many megabytes.
//
// Its thread starts with the first look: a process that publishes nothing has none.
// Threads: any. Fork: usable in the child. Exit: a look ends within milliseconds.
class Housekeeper final : private ForkAware {
 public:
  // Lifetime: `directory` outlives it.
  Housekeeper(const Directory& directory, std::uint64_t max_bytes, Logger logger);
  ~Housekeeper() override;

  // To be told after each publish, failed ones too. Never waits and never throws.
  void published(const PublishResult& result) noexcept;

  // Looks at once, on the caller's thread, for one who cannot do without what was not published.
  // Returns: whether it is worth another try.
  bool make_room_for(const PublishResult& refused) noexcept;

 private:
  void before_fork() noexcept override {}
  void after_fork(bool in_child) noexcept override;
  bool was_in_vain() const noexcept;
  bool is_due(const PublishResult& result) noexcept;
  EvictionRequest request_for(const PublishResult& result) const noexcept;
  EvictionResult look(EvictionRequest request) noexcept;
  void remember(const EvictionRequest& request, const EvictionResult& result) noexcept;
  void report(const EvictionResult& result) const;

  const Directory& directory_;
  const std::uint64_t max_bytes_;
  Logger logger_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> posted_{false};
  std::atomic<std::uint64_t> published_bytes_{0};  // since the last look
  std::atomic<std::uint64_t> due_bytes_{0};
  // Times of a steady clock; 0: never.
  std::atomic<std::int64_t> in_vain_s_{0};
  std::atomic<std::int64_t> busy_since_s_{0};
  Worker worker_;  // last: its job uses all the others
};

}  // namespace jit::inline v1
