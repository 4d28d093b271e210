// Pack writer: entries of a directory, or of anywhere else, as one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/directory.hpp"
#include "cache/entry.hpp"
#include "cache/inspection.hpp"

namespace jit::inline v1 {

// What is packed, before it is read.
struct PackItem {
  Entry head;  // without its cubin
  std::uint32_t cubin_bytes = 0;
  std::uint32_t bytes = 0;  // of its file
};

// The entry as it is packed: without the time that its compile took. That is a machine's, not the
// kernel's; so packs of the same kernels, made by the same compiler on two machines, are the same
// bytes.
Entry normalized(Entry entry);

// Reads one item whole, verified; nullopt if it is gone or damaged.
using ReadItem = std::function<std::optional<Entry>(const PackItem&)>;

// Writes the entries as a pack: temporary file in the same directory, fsync, rename. What stands in
// its place is replaced in one step; processes that have it open go on with the old one. The order
// of `items` does not matter, and of items with the same key and toolchain one is taken. Leaves no
// temporary file behind, whatever fails. `tuning` are tuning records as JSON lines, packed as they
// are.
// Returns: an empty string; else why there is no pack, one line.
std::string write_pack(const std::filesystem::path& path, std::vector<PackItem> items,
                       const ReadItem& read, std::string_view tuning = {});

// The same of entries of a directory, normalized. To be packed is a use like any other: it may
// touch them.
// Requires: each has a summary.
std::string write_pack(const std::filesystem::path& path, const Directory& directory,
                       const std::vector<EntryInfo>& entries, std::string_view tuning = {});

}  // namespace jit::inline v1
