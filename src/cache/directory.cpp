#include "cache/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <tuple>
#include <utility>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/entry_file.hpp"
#include "cache/layout.hpp"
#include "cache/quarantine.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxNamesInShard = 65'536;
constexpr std::size_t kMaxCandidates = 64;

struct Candidate {
  EntryName says;
  std::string name;
};

// The best first; a total order, so that every process chooses alike.
void sort_candidates(std::vector<Candidate>& candidates, const EntryQuery& query) {
  const auto rank = [&query](const Candidate& candidate) {
    return std::tuple(candidate.says.release == query.toolchain.release, candidate.says.release,
                      candidate.says.build);
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& a, const Candidate& b) { return rank(a) > rank(b); });
  if (candidates.size() > kMaxCandidates) candidates.resize(kMaxCandidates);
}

// The entries in a listing that may answer; why not, of the others, goes to `miss`.
std::vector<Candidate> candidates_in(const Shard& shard, const EntryQuery& query, Miss& miss) {
  std::vector<Candidate> candidates;
  for (std::string& name : names_in(shard.directory, kMaxNamesInShard)) {
    const std::optional<EntryName> says = parse_entry_name(name);
    if (!says || says->key != query.key) continue;
    const bool same_build = says->matches(query.toolchain);
    if (!may_answer(query, says->release, same_build, miss)) continue;
    if (same_build) continue;  // was asked for by name, and is not it
    candidates.push_back({*says, std::move(name)});
  }
  sort_candidates(candidates, query);
  return candidates;
}

bool is_newer(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

// On overlayfs a touch copies the whole file up from its read-only layer.
bool is_touchable(int fd) noexcept {
  constexpr std::int64_t kOverlay = 0x794c7630;
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return false;
  return static_cast<std::int64_t>(status.f_type) != kOverlay && (status.f_flags & ST_RDONLY) == 0;
}

}  // namespace

Directory::Directory(DirectoryOptions options, Logger logger)
    : options_(std::move(options)), logger_(std::move(logger)) {}

std::string Directory::reason() const {
  const TrustedDirectory format = open_format_directory(options_, Missing::kLeave);
  return format.absent() ? std::string() : format.why;
}

std::optional<Entry> Directory::find(const UnitKey& key, const ToolchainId& toolchain,
                                     ToolchainPolicy policy) const {
  return find({.key = key, .toolchain = toolchain, .policy = policy});
}

std::optional<Entry> Directory::find(const EntryQuery& query, Miss* why) const {
  Miss miss;
  std::optional<Entry> entry = look_up(query, miss);
  if (entry) {
    counters_.hits.fetch_add(1, std::memory_order_relaxed);
    miss = {};
  } else {
    counters_.misses.fetch_add(1, std::memory_order_relaxed);
    if (logger_.enabled(LogLevel::kDebug)) {
      logger_.debug(fmt::format("find {} in {}: {} {}", to_hex(query.key.bytes),
                                options_.root.native(), name_of(miss.reason), miss.detail));
    }
  }
  if (why != nullptr) *why = std::move(miss);
  return entry;
}

std::optional<Entry> Directory::look_up(const EntryQuery& query, Miss& miss) const {
  Shard shard = open_shard(options_, query.key, Missing::kLeave);
  // A server has replaced a directory on the way down: once more from the root.
  if (shard.directory.error == ESTALE) shard = open_shard(options_, query.key, Missing::kLeave);
  if (!shard.directory) {
    if (shard.directory.absent()) {
      note(miss, MissReason::kAbsent, Damage::kNone, "no such entry");
      return std::nullopt;
    }
    logger_.warn_once(fmt::format("refused:{}", options_.root.native()),
                      fmt::format("read cached kernels: {}", shard.directory.why));
    note(miss, MissReason::kRefused, Damage::kNone, shard.directory.why);
    return std::nullopt;
  }
  if (query.toolchain.known() && is_loadable(query, query.toolchain.release)) {
    auto entry = read_entry(shard, entry_name(query.key, query.toolchain), query, miss);
    if (entry || query.policy == ToolchainPolicy::kExact) return entry;
  }
  return scan(shard, query, miss);
}

std::optional<Entry> Directory::scan(const Shard& shard, const EntryQuery& query,
                                     Miss& miss) const {
  // What was listed may have been evicted or replaced before it is read: then the list is old.
  constexpr int kListings = 2;
  bool vanished = true;
  for (int listing = 0; listing < kListings && vanished; ++listing) {
    vanished = false;
    for (const Candidate& candidate : candidates_in(shard, query, miss)) {
      if (auto entry = read_entry(shard, candidate.name, query, miss, &vanished)) return entry;
    }
  }
  note(miss, MissReason::kAbsent, Damage::kNone, "no such entry");
  return std::nullopt;
}

std::optional<Entry> Directory::read_entry(const Shard& shard, const std::string& name,
                                           const EntryQuery& query, Miss& miss,
                                           bool* vanished) const {
  const std::optional<EntryName> says = parse_entry_name(name);
  if (!says) return std::nullopt;
  EntryFile file = read_entry_file(shard.directory, name, *says);
  if (file.entry) {
    const bool exact = query.policy == ToolchainPolicy::kExact && query.toolchain.known();
    if (!exact || file.entry->artifact.toolchain == query.toolchain) {
      touch_if_due(shard, file.fd.get(), file.status);
      return std::move(file.entry);
    }
    note(miss, MissReason::kOtherToolchain, Damage::kNone, "made by another build of nvrtc");
    return std::nullopt;
  }
  if (file.damage != Damage::kNone) {
    note(miss, MissReason::kDamaged, file.damage,
         fmt::format("{}: {}", name, name_of(file.damage)));
    counters_.damaged.fetch_add(1, std::memory_order_relaxed);
    set_aside(shard, name, file.status, file.damage);
  } else if (file.error == ENOENT) {
    if (vanished != nullptr) *vanished = true;
    note(miss, MissReason::kAbsent, Damage::kNone, "no such entry");
  } else {
    std::string line = fmt::format("read {}/{}: {}; it will be compiled instead",
                                   shard.directory.path, name, error_text(file.error));
    logger_.warn_once(fmt::format("read:{}:{}", options_.root.native(), file.error), line);
    note(miss, MissReason::kUnreadable, Damage::kNone, std::move(line));
  }
  return std::nullopt;
}

void Directory::touch_if_due(const Shard& shard, int fd, const struct stat& status) const noexcept {
  timespec now{};
  if (options_.read_only || ::clock_gettime(CLOCK_REALTIME, &now) != 0) return;
  // A time in the future comes from a clock that went back: it is put right like one in the past.
  const std::int64_t age_s = std::abs(now.tv_sec - status.st_mtim.tv_sec);
  const bool changed = is_newer(shard.directory.changed, status.st_mtim);
  const auto after =
      changed ? std::min(options_.touch_after, options_.touch_after_change) : options_.touch_after;
  if (age_s < after.count() || !is_touchable(fd)) return;
  const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
  // An owner may touch what lies in a directory that he has closed to himself; it is read-only.
  if (::faccessat(shard.directory.fd.get(), ".", W_OK, AT_EACCESS) != 0) return;
  int failed = ::futimens(fd, times.data());
  // To set one time alone is the owner's right; to set both to now, everybody's who may write.
  if (failed != 0 && errno == EPERM) failed = ::futimens(fd, nullptr);
  if (failed == 0) counters_.touched.fetch_add(1, std::memory_order_relaxed);
}

bool Directory::set_aside(const Shard& shard, const std::string& name, const struct stat& seen,
                          Damage damage) const {
  const bool moved = !options_.read_only && move_to_quarantine(shard, name, seen, damage);
  if (moved) counters_.quarantined.fetch_add(1, std::memory_order_relaxed);
  const std::string line =
      fmt::format("read {}/{}: {}; {}, the kernel is rebuilt", shard.directory.path, name,
                  name_of(damage), moved ? "moved to quarantine" : "left where it is");
  const bool first =
      logger_.warn_once(fmt::format("damage:{}:{}", options_.root.native(), name_of(damage)), line);
  if (!first) logger_.info(line);
  return moved;
}

bool Directory::quarantine(const UnitKey& key, const ToolchainId& toolchain,
                           Damage damage) const noexcept {
  try {
    const Shard shard = open_shard(options_, key, Missing::kLeave);
    if (!shard.directory) return false;
    const std::string name = entry_name(key, toolchain);
    struct stat seen {};
    if (::fstatat(shard.directory.fd.get(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) {
      return false;
    }
    return set_aside(shard, name, seen, damage);
  } catch (const std::exception&) {
    return false;  // out of memory: the entry stays, and the caller does without it
  }
}

DirectoryStats Directory::stats() const noexcept {
  const auto get = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  DirectoryStats stats;
  stats.hits = get(counters_.hits);
  stats.misses = get(counters_.misses);
  stats.damaged = get(counters_.damaged);
  stats.quarantined = get(counters_.quarantined);
  stats.published = get(counters_.published);
  stats.publish_failures = get(counters_.publish_failures);
  stats.swept = get(counters_.swept);
  stats.touched = get(counters_.touched);
  stats.evicted = get(counters_.evicted);
  stats.evicted_bytes = get(counters_.evicted_bytes);
  return stats;
}

}  // namespace jit::inline v1
