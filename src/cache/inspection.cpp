#include "cache/inspection.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/entry_file.hpp"
#include "cache/layout.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxNames = std::size_t{1} << 20;
constexpr std::size_t kUsualHeadBytes = std::size_t{64} << 10;

// An entry's file by its place and name, before it was looked at.
struct Found {
  const TrustedDirectory& shard;
  const std::string& name;
  EntryName says;
};

// Calls `visit` for the files named like entries of keys that begin with `key_prefix`, by path,
// until it returns false. Returns: whether it never did.
bool while_each_entry(const Directory& directory, std::string_view key_prefix,
                      const std::function<bool(const Found&)>& visit) {
  const auto format = open_format_directory(directory.options(), Missing::kLeave);
  if (!format) return true;
  std::vector<std::string> shards = names_in(format, kMaxNames);
  std::sort(shards.begin(), shards.end());
  for (const std::string& shard_name : shards) {
    if (!is_shard_name(shard_name)) continue;
    const auto common = std::min(shard_name.size(), key_prefix.size());
    if (key_prefix.substr(0, common) != std::string_view(shard_name).substr(0, common)) continue;
    const auto shard = open_below(format, shard_name.c_str(), Missing::kLeave);
    if (!shard) continue;
    std::vector<std::string> names = names_in(shard, kMaxNames);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (!std::string_view(name).starts_with(key_prefix)) continue;
      const auto says = parse_entry_name(name);
      if (says && !visit({shard, name, *says})) return false;
    }
  }
  return true;
}

void for_each_entry(const Directory& directory, std::string_view key_prefix,
                    const std::function<void(const Found&)>& visit) {
  static_cast<void>(while_each_entry(directory, key_prefix, [&](const Found& found) {
    visit(found);
    return true;
  }));
}

std::chrono::system_clock::time_point time_of(const timespec& time) {
  const auto since = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(since));
}

std::optional<EntrySummary> read_summary(int fd, std::uint64_t file_bytes, std::size_t max_bytes) {
  std::vector<std::byte> head(
      static_cast<std::size_t>(std::min(file_bytes, static_cast<std::uint64_t>(max_bytes))));
  ssize_t done = 0;
  while (static_cast<std::size_t>(done) < head.size()) {
    const ssize_t count =
        ::pread(fd, head.data() + done, head.size() - static_cast<std::size_t>(done), done);
    if (count <= 0) return std::nullopt;
    done += count;
  }
  return summarize(head, file_bytes);
}

EntryInfo look_at(const Found& found) {
  EntryInfo info;
  info.path = std::filesystem::path(found.shard.path) / found.name;
  info.key_hex = to_hex(found.says.key.bytes);
  struct stat status {};
  const int at = found.shard.fd.get();
  if (::fstatat(at, found.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return info;
  info.size_bytes = static_cast<std::uint64_t>(status.st_size);
  info.last_use = time_of(status.st_mtim);
  const UniqueFd fd = open_for_reading(at, found.name.c_str());
  if (!fd || !S_ISREG(status.st_mode)) return info;
  info.summary = read_summary(fd.get(), info.size_bytes, kUsualHeadBytes);
  if (!info.summary && info.size_bytes > kUsualHeadBytes) {
    info.summary = read_summary(fd.get(), info.size_bytes, kEntryHeaderBytes + kMaxMetadataBytes);
  }
  return info;
}

}  // namespace

std::vector<EntryInfo> list_entries(const Directory& directory, std::string_view key_prefix) {
  std::vector<EntryInfo> entries;
  for_each_entry(directory, key_prefix,
                 [&](const Found& found) { entries.push_back(look_at(found)); });
  return entries;
}

bool visit_entries(const Directory& directory, std::string_view key_prefix,
                   const std::function<bool(EntryInfo&&)>& visit) {
  return while_each_entry(directory, key_prefix,
                          [&](const Found& found) { return visit(look_at(found)); });
}

std::vector<EntryCheck> verify_entries(const Directory& directory, std::string_view key_prefix) {
  std::vector<EntryCheck> checks;
  for_each_entry(directory, key_prefix, [&](const Found& found) {
    const EntryFile file = read_entry_file(found.shard, found.name, found.says);
    if (file.error == ENOENT) return;  // removed meanwhile
    checks.push_back({look_at(found), file.damage, file.error});
  });
  return checks;
}

RemoveResult remove_entries(const Directory& directory, std::string_view key_prefix) {
  RemoveResult result;
  if (directory.options().read_only) {
    result.error = EROFS;
    return result;
  }
  for_each_entry(directory, key_prefix, [&](const Found& found) {
    struct stat status {};
    const int at = found.shard.fd.get();
    if (::fstatat(at, found.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    const int flags = S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0;
    if (::unlinkat(at, found.name.c_str(), flags) == 0) {
      ++result.removed;
      result.removed_bytes += static_cast<std::uint64_t>(status.st_size);
    } else if (errno != ENOENT) {
      result.error = errno;
      ++result.failed;
    }
  });
  return result;
}

DirectorySize size_of(const Directory& directory) {
  DirectorySize size;
  for_each_entry(directory, {}, [&](const Found& found) {
    struct stat status {};
    const int at = found.shard.fd.get();
    if (::fstatat(at, found.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    ++size.entries;
    size.entry_bytes += static_cast<std::uint64_t>(status.st_size);
  });
  const auto format = open_format_directory(directory.options(), Missing::kLeave);
  if (!format) return size;
  const auto count = [&format](const char* name) {
    const auto below = open_below(format, name, Missing::kLeave);
    return below ? names_in(below, kMaxNames).size() : 0;
  };
  size.quarantined = count(kQuarantineDirectory);
  size.temporary = count(kTemporaryDirectory);
  return size;
}

}  // namespace jit::inline v1
