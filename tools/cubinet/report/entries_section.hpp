// The kernels of a cache, by template: what each takes of a multiprocessor, of the compiler's time
// and of the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cubinet/report/html.hpp"

namespace jit::inline v1 {

struct ReportEntry {
  std::string key;        // its first digits
  std::string name;       // of the template
  std::string constants;  // "HEAD_SIZE=128,INPUT_TYPE=bf16"
  std::string arch;
  std::string toolchain;
  std::uint32_t registers = 0;
  std::uint32_t spill_bytes = 0;
  std::uint32_t smem_bytes = 0;
  double occupancy = 0;  // share of the warps at the most threads there may be; 0: not known
  double compile_ms = 0;
  std::uint64_t bytes = 0;
};

// What the entries of one template have in common and how they differ.
struct EntryGroup {
  std::string name;
  std::vector<const ReportEntry*> entries;  // by constants, architecture, toolchain
  std::string common;                       // constants that all have: "A=1, B=2"
  std::vector<std::string> own;             // by entry: the others
  std::uint64_t bytes = 0;
  double compile_ms = 0;     // of all
  std::size_t spilling = 0;  // kernels
};

// By template. Lifetime: refers to the entries.
std::vector<EntryGroup> groups_of(std::span<const ReportEntry> entries);

// "24 to 40, median 32"; the value alone where all are equal.
std::string spread_text(std::vector<double> values);

Html entry_sections(std::span<const ReportEntry> entries);

}  // namespace jit::inline v1
