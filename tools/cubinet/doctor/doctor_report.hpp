// Doctor report: an examination as text for people and as JSON.
#pragma once

#include <string>

#include "cubinet/doctor/examination.hpp"
#include "cubinet/json.hpp"

namespace jit::inline v1 {

std::string doctor_text(const Examination& found);
Json doctor_json(const Examination& found);

}  // namespace jit::inline v1
