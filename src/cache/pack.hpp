// Pack: the tier of the cache that is one file of many entries; the format is in pack_format.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "cache/entry.hpp"
#include "cache/entry_query.hpp"

namespace jit::inline v1 {

inline constexpr std::string_view kPackSuffix = ".cupack";

struct PackOptions {
  std::filesystem::path path{};
  // Trust a pack that its group may write to. Others may never.
  bool trust_group = false;
};

// What the index says of one entry.
struct PackedEntry {
  UnitKey key;
  ToolchainId toolchain;
  Arch arch;
  std::string signature;
  std::string name;  // of the template
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t cubin_bytes = 0;
  std::uint32_t registers = 0;
  std::uint32_t spill_bytes = 0;
};

struct PackState {
  MissReason reason = MissReason::kNone;  // why it is not used
  std::string why;                        // the same with what to do; empty if it can be used
  std::size_t entries = 0;
  std::uint64_t bytes = 0;  // of the file
  bool usable() const noexcept { return reason == MissReason::kNone; }
};

// What is wrong with a pack.
struct PackFault {
  std::string where;  // "entry 3f2a91... (signature)", "index"
  std::string what;   // "bad_checksum"
};

class OpenedPack;

// Pack finds entries in a file that others may read and replace meanwhile.
//
// It is opened at the first look and stays open; a file that takes its place by name is not looked
// at, one that is written over is opened anew, and one that could not be used is when it changes.
// It is read, never mapped: a file that shrinks under it is a named miss. Nothing is written,
// touched or locked. Whoever names a pack trusts its owner, as with a library; a file that others
// may write to is refused, and one that its group may write to unless trust_group.
//
// A pack never stands between a request and its kernel: what is wrong with it is warned about once.
// Threads: any; takes no lock. Fork: usable in the child, and where the descriptor was closed by a
// stranger (a daemon's start), it is opened once more.
class Pack {
 public:
  // Touches no disk.
  explicit Pack(PackOptions options, Logger logger = {});
  ~Pack();
  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;

  const std::filesystem::path& path() const noexcept { return options_.path; }

  // The entry that answers `query`, verified whole. Of several answers: this build, then the
  // newest release, then the greatest build.
  // Returns: nullopt on a miss; `why`, if given, says which.
  // Cost: the first look opens the pack: one open and two reads, of header and records, below a
  // millisecond for 10,000 entries; each look a binary search, and a read of the entry it finds.
  std::optional<Entry> find(const EntryQuery& query, Miss* why = nullptr) const;

  // Passes over an entry in this process from now on: a caller knows that it is broken.
  void set_aside(const UnitKey& key, const ToolchainId& toolchain) const noexcept;

  // Whether it can be used; opens it if that was not done.
  PackState state() const;

  // The tuning records that were packed, as JSON lines; empty where there are none, or the pack
  // cannot be used. Returns: nullopt if they are damaged, after a warning; then `why`, if given,
  // says so. Cost: one read.
  std::optional<std::string> tuning(std::string* why = nullptr) const;

  // Every entry as the index has it, by signature; reads no entry. Empty where it cannot be used or
  // its names are damaged; then `why`, if given, says so.
  std::vector<PackedEntry> list(std::string* why = nullptr) const;
  // The entries of one signature: a binary search in the names.
  std::vector<PackedEntry> list_signature(std::string_view signature) const;

  // The header and metadata of an entry, not verified; its cubin is not read.
  std::optional<EntrySummary> summary_of(const PackedEntry& packed) const;
  // An entry, verified. Returns: nullopt if it is damaged; then `what`, if given, says how.
  std::optional<Entry> read(const PackedEntry& packed, std::string* what = nullptr) const;

  // Reads and checks everything: index, names, paddings, and every entry against the index.
  std::vector<PackFault> verify() const;

 private:
  // The pack as it is now, opened if need be. Returns: null if it cannot be used; then why.
  const OpenedPack* open(Miss& miss) const;
  std::optional<Entry> look_up(const OpenedPack& opened, const EntryQuery& query, Miss& miss) const;
  std::optional<Entry> read_entry(const OpenedPack& opened, std::size_t number, Miss& miss) const;

  PackOptions options_;
  Logger logger_;
  mutable std::atomic<OpenedPack*> opened_{nullptr};  // the latest; it owns those before it
};

}  // namespace jit::inline v1
