// TuningStore: the tuning records of a Runtime, and what it has decided by them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "cache/directory.hpp"
#include "jit/options.hpp"
#include "jit/tuning.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/tiers.hpp"
#include "runtime/tuning_sources.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

// What tunables are chosen for: a template, its shape constants, what is pinned, bucket steps, and
// a model of GPU as Devices counts them.
struct TuningSubject {
  const table::Template& tmpl;
  std::span<const Value> values;     // by position; tunables are not looked at
  std::span<const Constant> pinned;  // as given; of these tunables alone are looked at
  const BucketSteps& steps;
  std::size_t model = 0;
};

// TuningStore reads the cache directory's records, tuning files and packs once, when a tunable is
// first to be chosen, and from then on looks up. What was chosen for a subject stays so until the
// Runtime ends, whatever is recorded meanwhile: requests of one bucket get one kernel.
//
// A source that cannot be read, or that holds damaged lines, is one warning and no error.
// Threads: any. Fork: usable in the child.
class TuningStore final : private ForkAware {
 public:
  // Reads nothing. Lifetime: all but the logger outlive it; `directory` may be null.
  TuningStore(const RuntimeOptions& options, const Directory* directory, const Tiers& tiers,
              Logger logger);
  ~TuningStore() override;

  // Puts sources in the order of a process of another mode. Requires: nothing was read yet.
  void speak_for(Mode mode) noexcept { mode_ = mode; }

  // Whether records may choose a tunable that is not among `given`.
  bool chooses(const table::Template& tmpl, std::span<const Constant> given) const;

  // The records of a template as they are known now. Lifetime: that of the store.
  const TuningTable& table(const table::Template& tmpl);

  // What the table chooses; decided at the first call for a subject. `target`, called only where
  // there are records, says what for.
  using MakeTarget = std::function<TuningTarget()>;
  std::optional<TunedChoice> choose(const TuningSubject& subject, const MakeTarget& target);
  bool is_decided(const TuningSubject& subject);

  // Makes the record known here, before all others, and appends it to the cache directory's.
  // Returns: "", or why it is not on disk; in one line.
  std::string keep(const TuningRecord& record);

  // Reads the cache directory's records again: what other processes have tuned meanwhile.
  void refresh();

  // Lines of the sources that are no records of any template.
  std::vector<SkippedRecord> damaged();

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }
  void read_locked();
  void take_locked(TuningSource source);
  void take_packs_locked();
  const TuningTable& table_locked(const table::Template& tmpl);

  const RuntimeOptions& options_;
  Mode mode_;
  const Directory* directory_;
  const Tiers& tiers_;
  Logger logger_;
  std::vector<std::filesystem::path> files_;  // absolute
  std::mutex mutex_;                          // everything below
  bool read_ = false;
  TuningSource own_;                   // made by this process, the newest first
  std::vector<TuningSource> sources_;  // in the order in which they count
  std::deque<TuningTable> tables_;     // old ones too: choices refer to them
  std::map<const table::Template*, const TuningTable*> current_;
  std::map<std::string, std::optional<TunedChoice>> decided_;
  std::optional<LineFile> file_;
};

}  // namespace jit::inline v1
