// Nearest entries: what there is that is most like what is missing, and in what it differs.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "cache/entry_difference.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {

// How much may be read for an answer. A directory of 100,000 entries takes seconds to read.
struct NearestBounds {
  std::size_t entries = 0;            // files of one directory
  std::chrono::milliseconds time{0};  // for one directory
  std::size_t keep = 3;
};
inline constexpr NearestBounds kErrorBounds{2'000, std::chrono::milliseconds(50), 1};
inline constexpr NearestBounds kCommandBounds{100'000, std::chrono::milliseconds(5'000), 3};

struct NearEntry {
  TierKind tier = TierKind::kDirectory;
  std::filesystem::path place;  // the entry's file, or the pack
  Entry entry;                  // without its cubin, and not verified
  // From it to what is asked for: what a key consists of, and the toolchain if the policy of its
  // tier does not let it answer. Empty: it is what was asked for; its tier says what is wrong.
  std::vector<Difference> differences;
};

struct NearestEntries {
  std::vector<NearEntry> entries;  // the nearest first; all of the same template
  std::size_t looked_at = 0;
  bool complete = true;  // false: the bounds ended the search
};

// The entries of all tiers that differ least from `asked`, see describe(): first by architecture,
// then by the number of constants, by how far those are away, options, files, and the toolchain.
// What has the very key is always found, whatever the bounds. Changes and touches nothing.
// Cost: some 15 us a file of a directory, within bounds; packs are asked through their index.
NearestEntries find_nearest(const ArtifactSource& source, const Entry& asked,
                            const NearestBounds& bounds);

// "constant kBlockN 128 -> 96, architecture sm_90 -> sm_90a and 3 more": `most` of them.
std::string text_of(const std::vector<Difference>& differences, std::size_t most);

}  // namespace jit::inline v1
