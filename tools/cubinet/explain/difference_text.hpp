// Differences of entries as JSON.
#pragma once

#include "cache/entry_difference.hpp"
#include "cubinet/json.hpp"

namespace jit::inline v1 {

// {"component": "constant", "name": "N", "from": "128", "to": "96", "how": null, "text": "..."}
Json difference_json(const Difference& difference);

}  // namespace jit::inline v1
