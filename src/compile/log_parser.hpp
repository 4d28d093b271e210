// Reading NVRTC's log: what ptxas said of a kernel, and the first error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// LogFacts is what `ptxas -v` and its warnings say of one entry point and of what it calls.
struct LogFacts {
  bool found = false;  // the entry was in the log
  std::uint32_t registers = 0;
  std::uint32_t smem_bytes = 0;  // static
  std::uint32_t stack_bytes = 0;
  std::uint32_t spill_store_bytes = 0;  // with those of functions that were not inlined
  std::uint32_t spill_load_bytes = 0;
  // C7510 to C7518: ptxas made wgmma wait, by serialising it or by an injected wait. C7519, an
  // injected arrive, waits for nothing and is not counted.
  std::uint32_t serialized_wgmma = 0;
};

// Reads the lines about `symbol`. Requires: nothing of `log`; lines of other kinds are passed over
// and numbers too large to hold saturate.
LogFacts parse_log(std::string_view log, std::string_view symbol) noexcept;

// The first line that explains a failed compile, brought to one form:
// "merge_attn_states.cuh(41): identifier \"kHidden\" is undefined". Empty if there is none.
std::string first_error(std::string_view log);

}  // namespace jit::inline v1
