#include "cache/eviction_scan.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <span>

#include "base/hex.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxNames = std::size_t{1} << 20;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDeadAfterNs = 3600 * kSecond;

std::int64_t now_ns() noexcept {
  timespec now{};
  static_cast<void>(::clock_gettime(CLOCK_REALTIME, &now));
  return now.tv_sec * kSecond + now.tv_nsec;
}

bool look_at(const TrustedDirectory& directory, const std::string& name, struct stat& status) {
  return ::fstatat(directory.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(status.st_mode);
}

void scan_shard(const TrustedDirectory& shard, EvictionScan& scan) {
  for (const std::string& name : names_in(shard, kMaxNames)) {
    const std::optional<EntryName> says = parse_entry_name(name);
    struct stat status {};
    if (!says || !look_at(shard, name, status)) continue;
    scan.entries.push_back({*says, last_use_ns(status), disk_bytes(status), status.st_ino});
    scan.bytes += scan.entries.back().bytes;
  }
}

std::vector<ScannedFile> files_below(const TrustedDirectory& format, const char* name) {
  std::vector<ScannedFile> files;
  const TrustedDirectory below = open_below(format, name, Missing::kLeave);
  if (!below) return files;
  for (std::string& file : names_in(below, kMaxNames)) {
    struct stat status {};
    if (!look_at(below, file, status)) continue;
    files.push_back({std::move(file), last_use_ns(status), disk_bytes(status)});
  }
  return files;
}

}  // namespace

std::uint64_t disk_bytes(const struct stat& status) noexcept {
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const auto blocks = static_cast<std::uint64_t>(status.st_blocks) * 512;
  return std::max(size, blocks);
}

std::int64_t last_use_ns(const struct stat& status) noexcept {
  return status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec;
}

EvictionScan scan_for_eviction(const TrustedDirectory& format, const std::atomic<bool>& stop) {
  EvictionScan scan;
  const std::int64_t now = now_ns();
  for (ScannedFile& file : files_below(format, kTemporaryDirectory)) {
    scan.bytes += file.bytes;
    // Far in the future is as dead as far in the past: some clock was wrong.
    const bool dead = std::abs(now - file.since_ns) > kDeadAfterNs;
    if (dead) scan.dead.push_back(std::move(file));
    else scan.being_written_bytes += file.bytes;
  }
  scan.quarantine = files_below(format, kQuarantineDirectory);
  for (const ScannedFile& file : scan.quarantine) scan.bytes += file.bytes;
  for (unsigned byte = 0; byte < 256 && !stop.load(std::memory_order_relaxed); ++byte) {
    const std::uint8_t first[1] = {static_cast<std::uint8_t>(byte)};
    const auto shard = open_below(format, to_hex(first).c_str(), Missing::kLeave);
    if (shard) scan_shard(shard, scan);
  }
  return scan;
}

}  // namespace jit::inline v1
