// Version of the library.
#pragma once

#include <string_view>

namespace jit::inline v1 {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace jit::inline v1
