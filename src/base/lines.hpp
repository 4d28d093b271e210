// Lines of a text file, with their numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace jit::inline v1 {

// Calls `take(line, number)` with every line that is not empty, without its end; numbers count from
// 1 and empty lines too.
template <class Take>
void for_each_line(std::string_view text, const Take& take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) take(line, number);
  }
}

}  // namespace jit::inline v1
