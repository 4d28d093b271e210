// An explanation as text for people and as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cubinet/json.hpp"
#include "runtime/explanation.hpp"

namespace jit::inline v1 {

// What only the command line knows of a request.
struct ExplainedWords {
  Mode mode = Mode::kAuto;
  ToolchainPolicy policy = ToolchainPolicy::kExact;
  ToolchainPolicy pack_policy = ToolchainPolicy::kExact;
  std::string_view preset;             // empty: none
  std::vector<std::string> of_preset;  // constants that the preset gave
};

std::string explanation_text(const Explanation& told, const ExplainedWords& words);
Json explanation_json(const Explanation& told, const ExplainedWords& words);

}  // namespace jit::inline v1
