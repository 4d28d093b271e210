// Tables with many columns, which become lists where the page is narrow.
#pragma once

#include <string>
#include <vector>

#include "cubinet/report/html.hpp"

namespace jit::inline v1 {

// A cell of a table that becomes a list on a phone: there `label` stands before the figure.
Html labelled_cell(const std::string& label, const Html& content, const std::string& kind = {});
// The same for a number, with a bar below it. `share` is of the bar's room.
Html bar_cell(const std::string& label, const std::string& value, double share);
// The table of such cells.
Html list_table(const std::vector<std::string>& heads, const Html& rows);

}  // namespace jit::inline v1
