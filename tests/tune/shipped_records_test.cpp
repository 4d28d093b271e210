// The records that ship with templates are of the device code that ships with them.
#include <catch2/catch_test_macros.hpp>

#include "jit/template_table.hpp"
#include "tune/tuning_table.hpp"

namespace jit {

inline namespace v1 {
std::span<const table::Template> shipped_templates();
}

namespace {

TEST_CASE("every shipped tuning record is of the template as it is: else tune again") {
  for (const table::Template& tmpl : shipped_templates()) {
    TuningTable table;
    for (const table::TuningRecord& record : tmpl.tuning_records) table.add(tmpl, record);
    for (const SkippedRecord& skipped : table.skipped()) {
      FAIL_CHECK(skipped.place << ": " << name_of(skipped.issue) << ": " << skipped.reason
                               << "; tune again, and remove the old line");
    }
    CHECK(table.size() == tmpl.tuning_records.size());
  }
}

}  // namespace
}  // namespace jit
