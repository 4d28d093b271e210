// The shell of a page: one self-contained file that loads nothing, runs no script, and is readable
// in light and dark and on a phone.
#pragma once

#include <string>
#include <string_view>

#include "cubinet/report/html.hpp"

namespace jit::inline v1 {

// The same for the same content.
std::string page_of(std::string_view title, const Html& content);

// Errors: kIo if write_page() could not write it: told before work that the page is about.
void expect_page_can_be_written(const std::string& file);

// Writes the page to a file, in one step; "-" is stdout. Errors: kIo.
void write_page(const std::string& file, std::string_view page);

}  // namespace jit::inline v1
