#include "cache/pack_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <tuple>

#include "base/file.hpp"
#include "base/file_descriptor.hpp"
#include "base/hex.hpp"
#include "cache/pack_format.hpp"

namespace jit::inline v1 {
namespace {

std::tuple<const UnitKey&, const ToolchainId&> place(const PackItem& item) {
  return {item.head.key, item.head.artifact.toolchain};
}

void sort_and_unique(std::vector<PackItem>& items) {
  std::stable_sort(items.begin(), items.end(),
                   [](const PackItem& a, const PackItem& b) { return place(a) < place(b); });
  const auto last =
      std::unique(items.begin(), items.end(),
                  [](const PackItem& a, const PackItem& b) { return place(a) == place(b); });
  items.erase(last, items.end());
}

// Header, records and names: everything before the first entry.
struct Plan {
  PackHeader header;
  std::vector<PackRecord> records;
  std::vector<std::byte> index;  // padded
};

// Texts, each kept once.
class Strings {
 public:
  PackText add(const std::string& text) {
    const auto [at, fresh] = known_.try_emplace(text);
    if (fresh) {
      at->second = {static_cast<std::uint32_t>(bytes_.size()),
                    static_cast<std::uint32_t>(text.size())};
      const auto bytes = as_bytes(text);
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    return at->second;
  }
  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  std::map<std::string, PackText> known_;
  std::vector<std::byte> bytes_;
};

PackRecord record_of(const PackItem& item, Strings& strings) {
  const Artifact& artifact = item.head.artifact;
  PackRecord record;
  record.key = item.head.key;
  record.toolchain = artifact.toolchain;
  record.kind = artifact.kind;
  record.arch = artifact.arch;
  record.bytes = item.bytes;
  record.cubin_bytes = item.cubin_bytes;
  record.signature = strings.add(item.head.signature);
  record.name = strings.add(item.head.name);
  record.registers = artifact.facts.registers;
  record.spill_bytes = artifact.facts.spill_bytes();
  return record;
}

std::vector<std::byte> names_of(const std::vector<PackItem>& items, const Strings& strings) {
  std::vector<std::uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&items](std::uint32_t a, std::uint32_t b) {
    return items[a].head.signature < items[b].head.signature;
  });
  std::vector<std::byte> names;
  for (const std::uint32_t number : order) {
    for (std::size_t i = 0; i < sizeof number; ++i) {
      names.push_back(static_cast<std::byte>(static_cast<std::uint8_t>(number >> (8 * i))));
    }
  }
  names.insert(names.end(), strings.bytes().begin(), strings.bytes().end());
  return names;
}

// Requires: items in the order of their places.
Plan plan_of(const std::vector<PackItem>& items, std::string_view tuning) {
  Plan plan;
  Strings strings;
  for (const PackItem& item : items) plan.records.push_back(record_of(item, strings));
  const std::vector<std::byte> names = names_of(items, strings);
  PackHeader& header = plan.header;
  header.entries = static_cast<std::uint32_t>(items.size());
  header.names_bytes = names.size();
  std::uint64_t end = header.names_offset() + names.size();
  header.first_entry = items.empty() ? end : padded(end);
  std::vector<std::byte> records;
  for (PackRecord& record : plan.records) {
    record.offset = padded(end);
    end = record.offset + record.bytes;
    const auto bytes = encode(record);
    records.insert(records.end(), bytes.begin(), bytes.end());
  }
  if (!tuning.empty()) {
    header.tuning_bytes = tuning.size();
    header.tuning_checksum = xxh3_128(as_bytes(tuning));
    end = padded(end) + tuning.size();
  }
  header.file_bytes = end;
  header.records_checksum = xxh3_128(records);
  header.names_checksum = xxh3_128(names);
  const auto head = encode(header);
  plan.index.assign(head.begin(), head.end());
  plan.index.insert(plan.index.end(), records.begin(), records.end());
  plan.index.insert(plan.index.end(), names.begin(), names.end());
  plan.index.resize(static_cast<std::size_t>(header.first_entry));
  return plan;
}

// A file that is not there yet; it goes unless it is kept. Where the system can do it, it has no
// name until then, so that nothing is left of a process that is killed; else a name that no other
// process chooses, on whatever machine or in whatever container of the same number it runs.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target) {
    std::uint64_t bits = 0;
    static_cast<void>(::getrandom(&bits, sizeof bits, GRND_NONBLOCK));
    path_ = fmt::format("{}.{}-{:016x}.tmp", target.native(), ::getpid(), bits);
    const std::filesystem::path parent = target.has_parent_path() ? target.parent_path() : ".";
    if (::access("/proc/self/fd", X_OK) == 0) {
      fd_.reset(::open(parent.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644));
    }
    if (!fd_) {
      constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
      fd_.reset(::open(path_.c_str(), kFlags, 0644));
      named_ = static_cast<bool>(fd_);
    }
    error_ = fd_ ? 0 : errno;
  }
  ~TemporaryFile() {
    if (named_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int error() const noexcept { return error_; }
  void write(std::span<const std::byte> bytes) {
    if (error_ == 0) error_ = write_fully(fd_.get(), bytes);
  }
  // Returns: 0, or the first errno.
  int keep_as(const std::filesystem::path& target) {
    // Some file systems cannot sync and say so; checksums cover for them.
    const bool synced = error_ != 0 || ::fsync(fd_.get()) == 0;
    if (!synced && errno != EINVAL && errno != ENOSYS) error_ = errno;
    if (error_ == 0 && !named_) give_name();
    if (error_ == 0) error_ = fd_.close();
    if (error_ == 0 && ::rename(path_.c_str(), target.c_str()) != 0) error_ = errno;
    if (error_ == 0) named_ = false;
    return error_;
  }

 private:
  void give_name() {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    const bool done =
        ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0;
    error_ = done ? 0 : errno;
    named_ = done;
  }

  std::string path_;
  UniqueFd fd_;
  bool named_ = false;
  int error_ = 0;
};

void sync_directory_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  const UniqueFd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) static_cast<void>(::fsync(fd.get()));
}

// A rename would put a file in the place of /dev/null, say, or of a directory's link.
bool is_no_file(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

std::string failure(const std::filesystem::path& path, std::string_view why) {
  return fmt::format("write pack {}: {}", path.native(), why);
}

}  // namespace

Entry normalized(Entry entry) {
  entry.artifact.facts.compile_ms = 0;
  return entry;
}

std::string write_pack(const std::filesystem::path& path, std::vector<PackItem> items,
                       const ReadItem& read, std::string_view tuning) {
  if (is_no_file(path)) return failure(path, "there is something that is no file; name another");
  if (items.size() > kMaxPackEntries) {
    return failure(path, fmt::format("{} entries are too many; make several packs of at most {}",
                                     items.size(), kMaxPackEntries));
  }
  sort_and_unique(items);
  if (tuning.size() > kMaxPackTuningBytes) {
    return failure(path, "its tuning records are too long; make several packs");
  }
  const Plan plan = plan_of(items, tuning);
  if (plan.header.names_bytes > kMaxPackNamesBytes) {
    return failure(path, "its names are too long; make several packs");
  }
  TemporaryFile file(path);
  file.write(plan.index);
  std::uint64_t end = plan.header.first_entry;
  for (std::size_t i = 0; i < items.size() && file.error() == 0; ++i) {
    const auto entry = read(items[i]);
    const std::vector<std::byte> bytes = entry ? encode(*entry) : std::vector<std::byte>{};
    // Replaced by another compile since it was listed, evicted, or damaged.
    const bool same = entry && entry->key == items[i].head.key &&
                      entry->artifact.toolchain == items[i].head.artifact.toolchain &&
                      bytes.size() == plan.records[i].bytes;
    if (!same) {
      return failure(path, fmt::format("the entry of {} cannot be read or has changed; run "
                                       "cubinet cache verify, and this again",
                                       items[i].head.signature));
    }
    file.write(std::vector<std::byte>(static_cast<std::size_t>(plan.records[i].offset - end)));
    file.write(bytes);
    end = plan.records[i].offset + bytes.size();
  }
  if (!tuning.empty()) {
    file.write(std::vector<std::byte>(static_cast<std::size_t>(plan.header.tuning_offset() - end)));
    file.write(as_bytes(tuning));
  }
  if (const int error = file.keep_as(path); error != 0) return failure(path, error_text(error));
  sync_directory_of(path);
  return {};
}

std::string write_pack(const std::filesystem::path& path, const Directory& directory,
                       const std::vector<EntryInfo>& entries, std::string_view tuning) {
  std::vector<PackItem> items;
  items.reserve(entries.size());
  for (const EntryInfo& info : entries) {
    items.push_back({info.summary->entry, info.summary->cubin_bytes,
                     static_cast<std::uint32_t>(info.size_bytes)});
  }
  const auto read = [&](const PackItem& item) -> std::optional<Entry> {
    auto entry =
        directory.find(item.head.key, item.head.artifact.toolchain, ToolchainPolicy::kExact);
    if (!entry) return std::nullopt;
    return normalized(std::move(*entry));
  };
  return write_pack(path, std::move(items), read, tuning);
}

}  // namespace jit::inline v1
