// The option --device: a GPU by the name that the driver gives it, or by its ordinal here.
#pragma once

#include <optional>
#include <string>

#include "cubinet/context.hpp"
#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {

// The model that is meant: one that a tuning record of the template for `arch` was measured on,
// else a GPU at hand. Returns: nullopt if there is none of that name.
// Errors: UsageError for an ordinal that no GPU here has.
std::optional<DeviceModel> find_device(Context& context, const table::Template& tmpl, Arch arch,
                                       const std::string& word);

// The first GPU at hand that runs code for `arch`; nullopt if there is none.
std::optional<DeviceModel> device_at_hand(Context& context, Arch arch);

}  // namespace jit::inline v1
