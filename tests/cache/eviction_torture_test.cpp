// Eviction under load: real processes, a small disk, a hundred thousand entries.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <new>
#include <random>
#include <thread>

#include "cache/cache_fixture.hpp"
#include "cache/eviction.hpp"
#include "cache/mount_namespace.hpp"

using namespace jit;
using namespace jit::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

struct Load {
  std::uint32_t entries = 100'000;
  std::uint32_t written = 40'000;  // by all writers together, without a pause
  std::chrono::milliseconds warm_up = 6s;
  std::chrono::milliseconds duration = 24s;
  bool touching = true;
};

constexpr std::uint64_t kPage = 4096;
constexpr int kReaders = 16;
constexpr int kWriters = 8;
constexpr int kEvictors = 4;
// A stopwatch of one's own means nothing on a machine that does other things as well.
constexpr double kMaxScanCpuSeconds = JIT_TEST_SANITIZED ? 10.0 : 1.0;

// In memory that all processes share.
struct Shared {
  std::atomic<bool> press{false};  // writers and evictors begin
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> lookups{0};
  std::atomic<std::uint64_t> hot_lookups{0};
  std::atomic<std::uint64_t> hot_hits{0};
  std::atomic<std::uint64_t> reader_errors{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> writer_errors{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> evictor_errors{0};
};

Shared& make_shared_counters() {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return *new (memory) Shared;
}

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Numbers from 0, the smallest the most often: the share of n is as (n + 1) ^ -1.1.
class Zipf {
 public:
  explicit Zipf(std::uint32_t count) : up_to_(count) {
    double sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) up_to_[i] = sum += std::pow(i + 1.0, -1.1);
  }
  template <class Random>
  std::uint32_t operator()(Random& random) const {
    const double at = std::uniform_real_distribution<double>(0, up_to_.back())(random);
    const auto found = std::lower_bound(up_to_.begin(), up_to_.end(), at);
    return static_cast<std::uint32_t>(found - up_to_.begin());
  }

 private:
  std::vector<double> up_to_;
};

class Torture {
 public:
  Torture(const Load& load, fs::path root)
      : load_(load), zipf_(load.entries), shared_(make_shared_counters()) {
    options_.root = std::move(root);
    // Half of the cache is replaced within half a minute here: the minute is a second.
    options_.touch_after_change = 1s;
    if (!load.touching) options_.touch_after = options_.touch_after_change = 876'000h;
    cap_ = kPage * load.entries;
  }

  // Returns: whether everything held.
  bool run() {
    fill();
    bool good = check_scan();
    start_all();
    std::this_thread::sleep_for(load_.warm_up);
    shared_.press = true;
    const bool bounded = watch();
    shared_.stop = true;
    for (const pid_t child : children_) good = expect(succeeded(child), "a child ends") && good;
    good = bounded && good;
    return report() && good;
  }

 private:
  Directory directory() const { return Directory(options_, Logger::silent()); }

  // Written as they lie there, without the fsync of publish; last used within the last hour,
  // whatever their number, so that the hourly touch tells nothing.
  void fill() {
    std::mt19937 random(1);
    const std::int64_t now = ::time(nullptr);
    for (std::uint32_t i = 0; i < load_.entries; ++i) {
      const Entry entry = make_entry(i);
      const fs::path path = path_of(options_.root, entry);
      for (const fs::path& made :
           {options_.root, path.parent_path().parent_path(), path.parent_path()}) {
        ::mkdir(made.c_str(), 0700);
      }
      const std::vector<std::byte> bytes = encode(entry);
      const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
      const auto written = ::write(fd, bytes.data(), bytes.size());
      const std::int64_t age = std::uniform_int_distribution<std::int64_t>(60, 2400)(random);
      const timespec times[2] = {{now - age, 0}, {now - age, 0}};
      if (written != static_cast<ssize_t>(bytes.size()) || ::futimens(fd, times) != 0) std::abort();
      ::close(fd);
    }
  }

  bool check_scan() {
    directory().evict({.dry_run = true});
    const double before = cpu_seconds();
    const EvictionResult result = directory().evict({.max_bytes = cap_, .dry_run = true});
    const double cpu = cpu_seconds() - before;
    const double wall = static_cast<double>(result.duration.count()) * 1e-6;
    // Twenty-eight processes want more than two cores, and are not alone on them.
    const double scarce = std::max(1.0, 8.0 / std::max(1U, std::thread::hardware_concurrency()));
    slowdown_ = scarce * std::max(1.0, wall / std::max(cpu, 1e-3)) * (JIT_TEST_SANITIZED ? 10 : 1);
    std::printf("scan of %llu entries: %.0f ms, of the processor %.0f ms\n",
                static_cast<unsigned long long>(result.scanned_entries),
                static_cast<double>(result.scan_duration.count()) / 1000, cpu * 1000);
    return expect(result.scanned_entries == load_.entries, "the scan sees every entry") &&
           expect(result.scanned_bytes == cap_, "the cache is as large as its cap") &&
           expect(cpu < kMaxScanCpuSeconds, "a scan takes less than a second");
  }

  void start_all() {
    const auto begin = [this](int count, void (Torture::*work)(int)) {
      for (int i = 0; i < count; ++i) {
        children_.push_back(start([this, work, i] {
          (this->*work)(i);
          return true;
        }));
      }
    };
    begin(kReaders, &Torture::read);
    begin(kWriters, &Torture::write);
    begin(kEvictors, &Torture::evict);
  }

  void read(int seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    const Directory cache = directory();
    for (int i = 0; !shared_.stop; ++i) {
      // A process that looks kernels up does something with them, too.
      if (i % 32 == 31) std::this_thread::sleep_for(5ms);
      const std::uint32_t number = zipf_(random);
      Miss miss;
      const auto entry = cache.find({.key = key_of(number), .toolchain = toolchain()}, &miss);
      ++shared_.lookups;
      const bool counts = shared_.press && number < load_.entries / 100;
      shared_.hot_lookups += counts ? 1U : 0U;
      shared_.hot_hits += counts && entry ? 1U : 0U;
      if (entry && (entry->key != key_of(number) || entry->epoch != number)) ++shared_.wrong;
      if (!entry && miss.reason != MissReason::kAbsent) ++shared_.reader_errors;
    }
  }

  void wait_for_press() const {
    while (!shared_.press) std::this_thread::sleep_for(10ms);
  }

  void write(int index) {
    const Directory cache = directory();
    const std::uint32_t share = load_.written / kWriters;
    wait_for_press();
    for (std::uint32_t i = 0; i < share && !shared_.stop; ++i) {
      const auto number = load_.entries + static_cast<std::uint32_t>(index) * share + i;
      const PublishResult result = cache.publish(make_entry(number));
      if (result.ok) {
        ++shared_.published;
      } else if (result.error == ENOSPC && result.space) {
        ++shared_.refused;
        std::this_thread::sleep_for(20ms);  // the kernel is served, and the next one compiled
      } else {
        ++shared_.writer_errors;
      }
    }
  }

  // The first is one that insists, as the command does; the others are processes that publish.
  void evict(int index) {
    const Directory cache = directory();
    wait_for_press();
    while (!shared_.stop) {
      const EvictionResult result = cache.evict({.max_bytes = cap_, .insist = index == 0});
      shared_.evicted += result.removed_entries;
      if (!(result.done || result.busy) || result.failed != 0) ++shared_.evictor_errors;
      std::this_thread::sleep_for(100ms);
    }
  }

  // Asks the file system, which knows nothing of how the cache counts.
  bool watch() {
    const auto begin = Clock::now();
    auto last_within = begin;
    double peak = 0;
    double longest_s = 0;
    std::uint64_t least_free = UINT64_MAX;
    while (Clock::now() - begin < load_.duration) {
      std::this_thread::sleep_for(50ms);
      const fs::space_info space = fs::space(options_.root);
      const double used = static_cast<double>(space.capacity - space.free);
      const auto now = Clock::now();
      if (used <= 1.05 * static_cast<double>(cap_)) last_within = now;
      longest_s = std::max(longest_s, std::chrono::duration<double>(now - last_within).count());
      peak = std::max(peak, used / static_cast<double>(cap_));
      least_free = std::min<std::uint64_t>(least_free, space.available);
      floor_ = free_space_floor(options_.min_free_bytes, {0, space.capacity});
    }
    std::printf(
        "peak %.1f %% of the cap, above 105 %% for %.2f s at most; least free %.1f MiB, floor "
        "%.1f MiB\n",
        100 * peak, longest_s, static_cast<double>(least_free) / 1048576,
        static_cast<double>(floor_) / 1048576);
    // Writers that look at the same moment may each take what is left.
    return expect(longest_s <= 5 * slowdown_,
                  "the size is back below 105 % of the cap within 5 s, given the cores") &&
           expect(least_free + kWriters * 2 * kPage >= floor_, "the floor is held");
  }

  bool report() {
    const EvictionResult end = directory().evict({.max_bytes = cap_, .dry_run = true});
    std::uint32_t hot = 0;
    for (std::uint32_t i = 0; i < load_.entries / 100; ++i) {
      hot += fs::exists(path_of(options_.root, make_entry(i))) ? 1U : 0U;
    }
    const double kept = 100.0 * hot / (load_.entries / 100);
    const double hits = 100.0 * static_cast<double>(shared_.hot_hits) /
                        static_cast<double>(std::max<std::uint64_t>(shared_.hot_lookups, 1));
    std::printf(
        "%llu lookups, %llu of the hot set: %.3f %% hits; %.1f %% of the hot set kept; %llu "
        "published, %llu refused, %llu evicted; %llu entries remain, %.1f %% of the cap\n",
        static_cast<unsigned long long>(shared_.lookups),
        static_cast<unsigned long long>(shared_.hot_lookups), hits, kept,
        static_cast<unsigned long long>(shared_.published),
        static_cast<unsigned long long>(shared_.refused),
        static_cast<unsigned long long>(shared_.evicted),
        static_cast<unsigned long long>(end.remaining_entries),
        100.0 * static_cast<double>(end.scanned_bytes) / static_cast<double>(cap_));
    std::fflush(stdout);
    const bool hot_set_kept = hits >= 99 && kept >= 99;
    bool good = expect(shared_.reader_errors == 0, "no reader meets an error");
    good = expect(shared_.wrong == 0, "every entry found is the one asked for") && good;
    good = expect(shared_.writer_errors == 0, "writers meet the floor at most") && good;
    good = expect(shared_.evictor_errors == 0, "no evictor meets an error") && good;
    good = expect(shared_.evicted > load_.entries / 10, "much was evicted") && good;
    good = expect(end.scanned_bytes <= cap_, "the cap holds at the end") && good;
    good = expect(end.scanned_bytes >= cap_ / 100 * 80, "no more went than had to") && good;
    return expect(hot_set_kept == load_.touching, "the hot set is kept if and only if touched") &&
           good;
  }

  const Load load_;
  const Zipf zipf_;
  Shared& shared_;
  DirectoryOptions options_;
  std::uint64_t cap_ = 0;
  std::uint64_t floor_ = 0;
  double slowdown_ = 1;  // by what else runs here
  std::vector<pid_t> children_;
};

void torture(const Load& load) {
  const Folder folder;
  const auto body = [&] {
    // A quarter more than the cap: the burst of the writers meets the floor, too.
    const std::string size = std::to_string(kPage * load.entries / 4 * 5);
    if (!mount_small_disk(folder.path(), size + ",nr_inodes=0")) not_allowed();
    return Torture(load, folder / "cache").run();
  };
  const Namespaced outcome = in_mount_namespace(body);
  if (outcome == Namespaced::kNotAllowed) SKIP("this machine does not allow mounts");
  CHECK(outcome == Namespaced::kHeld);
}

}  // namespace

TEST_CASE("a hundred thousand entries keep their bounds and their hot set", "[slow]") {
  torture({});
}

TEST_CASE("with touching off the same load loses the hot set", "[slow]") {
  torture({.entries = 20'000, .written = 8'000, .warm_up = 2s, .duration = 6s, .touching = false});
}
