#include "cache/quarantine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "cache/layout.hpp"

namespace jit::inline v1 {
namespace {

struct Kept {
  std::int64_t since_s = 0;
  std::int64_t since_ns = 0;
  std::string name;
  auto operator<=>(const Kept&) const = default;
};

// ctime is when it was moved here.
void make_room(const TrustedDirectory& quarantine) {
  std::vector<Kept> kept;
  for (std::string& name : names_in(quarantine, 64 * kMaxQuarantined)) {
    struct stat status {};
    if (::fstatat(quarantine.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    kept.push_back({status.st_ctim.tv_sec, status.st_ctim.tv_nsec, std::move(name)});
  }
  if (kept.size() < kMaxQuarantined) return;
  std::sort(kept.begin(), kept.end());
  kept.resize(kept.size() - kMaxQuarantined + 1);
  for (const Kept& file : kept) {
    // A directory that stood in an entry's place goes too, if it is empty.
    if (::unlinkat(quarantine.fd.get(), file.name.c_str(), 0) != 0) {
      static_cast<void>(::unlinkat(quarantine.fd.get(), file.name.c_str(), AT_REMOVEDIR));
    }
  }
}

bool remove_in_place(const Shard& shard, const std::string& name) {
  const int at = shard.directory.fd.get();
  return ::unlinkat(at, name.c_str(), 0) == 0 || ::unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0;
}

}  // namespace

bool move_to_quarantine(const Shard& shard, const std::string& name, const struct stat& seen,
                        Damage damage) {
  static std::atomic<std::uint32_t> count{0};
  const int at = shard.directory.fd.get();
  struct stat now {};
  if (::fstatat(at, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (now.st_dev != seen.st_dev || now.st_ino != seen.st_ino) return false;
  const auto quarantine = open_below(shard.format, kQuarantineDirectory, Missing::kMake);
  if (!quarantine) return remove_in_place(shard, name);
  make_room(quarantine);
  const std::string kept =
      fmt::format("{}.{}.{}-{}", name, name_of(damage), ::getpid(), count.fetch_add(1));
  if (::renameat(at, name.c_str(), quarantine.fd.get(), kept.c_str()) == 0) return true;
  return remove_in_place(shard, name);
}

}  // namespace jit::inline v1
