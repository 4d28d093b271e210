// Reading NVRTC's log: what ptxas said of a kernel, and the first error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// LogFacts is what `ptxas -v` and its warnings say of one entry point.
struct LogFacts {
  bool found = false;  // the entry was in the log; without it every number is 0
  std::uint32_t registers = 0;
  std::uint32_t smem_bytes = 0;  // static
  std::uint32_t spill_store_bytes = 0;
  std::uint32_t spill_load_bytes = 0;
  std::uint32_t stack_bytes = 0;
  std::uint32_t serialized_wgmma = 0;  // C7510 to C7519: ptxas has serialised wgmma
};

// Reads the lines about `symbol`; the warnings of other functions of the same log count too,
// since a unit has one entry and what that calls.
// Requires: nothing of `log`; unknown lines are passed over, numbers too large to hold saturate.
LogFacts parse_log(std::string_view log, std::string_view symbol) noexcept;

// The first line that explains a failed compile, brought to one form:
// "merge_attn_states.cuh(41): identifier \"kHidden\" is undefined". Empty if there is none.
std::string first_error(std::string_view log);

}  // namespace jit::inline v1
