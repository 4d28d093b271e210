#include "cubinet/explain/difference_text.hpp"

namespace jit::inline v1 {
namespace {

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

}  // namespace

Json difference_json(const Difference& difference) {
  return Json::object({{"component", name_of(difference.component)},
                       {"name", text_or_null(difference.name)},
                       {"from", text_or_null(difference.from)},
                       {"to", text_or_null(difference.to)},
                       {"how", text_or_null(difference.how)},
                       {"text", difference.text()}});
}

}  // namespace jit::inline v1
