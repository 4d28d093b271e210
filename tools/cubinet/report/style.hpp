// The style sheet of a page.
#pragma once

#include <string_view>

namespace jit::inline v1 {

extern const std::string_view kStyleSheet;

}  // namespace jit::inline v1
