// Log sink: where the library's few lines go.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "jit/abi.hpp"

namespace jit::inline v1 {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// LogSink receives one line per event, without a newline.
//
// Threads: called from any thread, never with a lock of the library held that a call back into the
// library would take. It must not throw; what it throws is swallowed.
// Fork: a sink that takes a lock of its own must see to it that a child finds the lock free.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

}  // namespace jit::inline v1
