#include "cache/eviction.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <span>
#include <string_view>

#include "base/hex.hpp"
#include "cache/eviction_scan.hpp"
#include "cache/single_flight.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxFailures = 256;
// So many of the oldest go shard by shard, each of which is opened once for all of its own. What a
// stop in their midst leaves behind is young but for these.
constexpr std::size_t kBatch = 4096;
// Whoever published meanwhile found the lock held and relies on its holder.
constexpr std::chrono::milliseconds kLookAgainAfter{500};
constexpr int kMaxRounds = 8;
const std::atomic<bool> kNeverStop{false};

std::chrono::microseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
}

std::int64_t wall_clock_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::string name_of_file(const EntryName& says) {
  ToolchainId toolchain;
  toolchain.release = says.release;
  std::copy(says.build.begin(), says.build.end(), toolchain.build.begin());
  return entry_name(says.key, toolchain);
}

// One eviction, from the first scan to the last unlink.
class Eviction {
 public:
  Eviction(const EvictionRequest& request, const TrustedDirectory& format, EvictionResult& result)
      : request_(request),
        format_(format),
        stop_(request.stop != nullptr ? *request.stop : kNeverStop),
        result_(result) {}

  void run(const std::optional<std::uint64_t>& usual_floor) {
    for (round_ = 0; round_ < kMaxRounds; ++round_) {
      const auto begin = Clock::now();
      if (!run_once(usual_floor)) break;
      if (request_.dry_run || result_.failed != 0 || since(begin) < kLookAgainAfter) break;
    }
    look_at_free_space();
  }

 private:
  // Returns: whether a bound was broken, and it was not stopped at it.
  bool run_once(const std::optional<std::uint64_t>& usual_floor) {
    look();
    if (stopped()) return false;
    remove_files(kTemporaryDirectory, scan_.dead, UINT64_MAX);
    const std::uint64_t wanted = bytes_to_free(usual_floor);
    const std::uint64_t target = freed_bytes() + wanted;
    if (wanted != 0) remove_files(kQuarantineDirectory, scan_.quarantine, target);
    remove_entries(target);
    return wanted != 0 && !stopped();
  }

  void look() {
    const auto begin = Clock::now();
    scan_ = scan_for_eviction(format_, stop_);
    if (round_ == 0) {
      result_.scan_duration = since(begin);
      result_.scanned_entries = scan_.entries.size();
      result_.scanned_bytes = scan_.bytes;
    }
    result_.remaining_entries = scan_.entries.size();
    result_.remaining_bytes = scan_.bytes;
  }

  bool stopped() {
    result_.stopped = stop_.load(std::memory_order_relaxed);
    return result_.stopped || result_.failed >= kMaxFailures;
  }

  std::uint64_t bytes_to_free(const std::optional<std::uint64_t>& usual_floor) {
    const std::uint64_t total = result_.remaining_bytes;
    std::uint64_t wanted = 0;
    if (total > request_.max_bytes) {
      wanted = total - (request_.max_bytes - request_.max_bytes / 10);
    }
    // Some file systems give back only later what was removed: nothing goes twice for that.
    if (round_ != 0) return wanted;
    if (request_.disk_full) wanted = std::max(wanted, total / 10);
    const auto space = free_space_of(format_.fd.get());
    if (!space) return wanted;
    const auto& asked = request_.min_free_bytes ? request_.min_free_bytes : usual_floor;
    const std::uint64_t floor = free_space_floor(asked, *space);
    const std::uint64_t needed = floor + request_.room_bytes;
    result_.free_before_bytes = space->free_bytes;
    // What a dry run would have removed by now is free in its eyes.
    const std::uint64_t free = space->free_bytes + (request_.dry_run ? result_.removed_bytes : 0);
    result_.floor_bytes = floor;
    const std::uint64_t removable = total - scan_.being_written_bytes;
    if (free < needed && free + removable >= needed) {
      wanted = std::max(wanted, needed + floor / 8 - free);
    }
    return wanted;
  }

  void look_at_free_space() {
    if (request_.dry_run && result_.free_before_bytes) {
      result_.free_bytes = *result_.free_before_bytes + result_.removed_bytes;
    } else if (const auto space = free_space_of(format_.fd.get())) {
      result_.free_bytes = space->free_bytes;
    }
  }

  // Counts what `unlinkat` said. Returns: whether the file is gone by our hand.
  bool count(int status, int error, std::uint64_t bytes) {
    if (status != 0 && error != ENOENT) {
      result_.error = error;
      ++result_.failed;
      return false;
    }
    result_.remaining_bytes -= bytes;
    if (status == 0) result_.removed_bytes += bytes;
    else freed_by_others_ += bytes;
    return status == 0;
  }

  std::uint64_t freed_bytes() const { return result_.removed_bytes + freed_by_others_; }
  bool freed(std::uint64_t target) const { return freed_bytes() >= target; }

  void remove_files(const char* place, std::vector<ScannedFile>& files, std::uint64_t target) {
    if (files.empty()) return;
    const TrustedDirectory directory = open_below(format_, place, Missing::kLeave);
    if (!directory) return;
    std::sort(files.begin(), files.end(),
              [](const ScannedFile& a, const ScannedFile& b) { return a.since_ns < b.since_ns; });
    for (const ScannedFile& file : files) {
      if (freed(target) || stopped()) return;
      const int status =
          request_.dry_run ? 0 : ::unlinkat(directory.fd.get(), file.name.c_str(), 0);
      if (count(status, errno, file.bytes)) ++result_.removed_files;
    }
  }

  void remove_entries(std::uint64_t target) {
    const std::int64_t now = wall_clock_ns();
    std::int64_t unused_since = INT64_MIN;
    if (request_.unused_for) {
      constexpr std::chrono::seconds kCentury{std::int64_t{86'400} * 366 * 100};
      const auto age = std::clamp(*request_.unused_for, std::chrono::seconds{0}, kCentury);
      unused_since = now - std::chrono::nanoseconds(age).count();
    }
    if (freed(target) && !request_.unused_for) return;
    const auto last_use = [now](const ScannedEntry& entry) {
      return std::min(entry.last_use_ns, now);
    };
    std::sort(
        scan_.entries.begin(), scan_.entries.end(),
        [&](const ScannedEntry& a, const ScannedEntry& b) { return last_use(a) < last_use(b); });
    std::span<ScannedEntry> rest(scan_.entries);
    while (!rest.empty() && !stopped()) {
      std::uint64_t planned = freed_bytes();
      std::size_t count = 0;
      for (; count < std::min(rest.size(), kBatch); ++count) {
        const bool unused = request_.unused_for && last_use(rest[count]) <= unused_since;
        if (planned >= target && !unused) break;
        planned += rest[count].bytes;
      }
      if (count == 0) return;
      remove_batch(rest.first(count));
      rest = rest.subspan(count);
    }
  }

  // Shard by shard: first the one of the oldest entry.
  void remove_batch(std::span<ScannedEntry> batch) {
    constexpr std::size_t kNone = SIZE_MAX;
    std::array<std::size_t, 256> rank;
    rank.fill(kNone);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::size_t& place = rank[batch[i].says.key.bytes[0]];
      place = std::min(place, i);
    }
    const auto rank_of = [&rank](const ScannedEntry& entry) {
      return rank[entry.says.key.bytes[0]];
    };
    std::stable_sort(batch.begin(), batch.end(),
                     [&](const auto& a, const auto& b) { return rank_of(a) < rank_of(b); });
    TrustedDirectory shard;
    std::size_t opened = kNone;
    for (const ScannedEntry& entry : batch) {
      if (stopped()) return;
      if (rank_of(entry) != opened) {
        const std::string name = to_hex(std::span(entry.says.key.bytes).first<1>());
        shard = open_below(format_, name.c_str(), Missing::kLeave);
        opened = rank_of(entry);
      }
      remove_entry(shard, entry);
    }
  }

  void remove_entry(const TrustedDirectory& shard, const ScannedEntry& entry) {
    const std::string name = name_of_file(entry.says);
    struct stat status {};
    int failed = shard ? 0 : -1;
    errno = shard.error;
    if (failed == 0) {
      failed = ::fstatat(shard.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
    }
    if (failed == 0 && (status.st_ino != entry.inode || last_use_ns(status) != entry.last_use_ns)) {
      ++result_.spared_entries;
      return;
    }
    if (failed == 0 && !request_.dry_run) failed = ::unlinkat(shard.fd.get(), name.c_str(), 0);
    const int error = errno;
    if (count(failed, error, entry.bytes)) ++result_.removed_entries;
    if (failed == 0 || error == ENOENT) --result_.remaining_entries;
  }

  const EvictionRequest& request_;
  const TrustedDirectory& format_;
  const std::atomic<bool>& stop_;
  EvictionResult& result_;
  EvictionScan scan_;
  std::uint64_t freed_by_others_ = 0;
  int round_ = 0;
};

}  // namespace

// Keys are digests, and this one is text.
UnitKey eviction_lock_key() {
  UnitKey key;
  constexpr std::string_view kText = "cubinet: eviction of this cache";
  std::copy(kText.begin(), kText.end(), key.bytes.begin());
  return key;
}

EvictionResult Directory::evict(const EvictionRequest& request) const noexcept {
  EvictionResult result;
  const auto begin = Clock::now();
  result.max_bytes = request.max_bytes;
  try {
    result.why = "the cache is read-only; set CUBINET_MODE=auto";
    if (options_.read_only && !request.dry_run) return result;
    const TrustedDirectory format = open_format_directory(options_, Missing::kLeave);
    result.why = format.why;
    if (!format) {
      result.done = format.absent();
      return result;
    }
    std::optional<FlightLock> lock;
    if (!request.dry_run) {
      lock = FlightLock::acquire(*this, eviction_lock_key(), Clock::now() + request.patience);
      result.busy = lock->state() == LockState::kTimedOut;
    }
    result.why = "another process is at it";
    if (result.busy && !request.insist) return result;
    result.why.clear();
    Eviction(request, format, result).run(options_.min_free_bytes);
    result.done = true;
  } catch (const std::exception&) {
    result.why = "out of memory";
  }
  if (!request.dry_run) {
    counters_.evicted.fetch_add(result.removed_entries, std::memory_order_relaxed);
    counters_.evicted_bytes.fetch_add(result.removed_bytes, std::memory_order_relaxed);
    counters_.swept.fetch_add(result.removed_files, std::memory_order_relaxed);
  }
  result.duration = since(begin);
  return result;
}

}  // namespace jit::inline v1
