// Request: what `NAME --set K=V --preset P --size S=N` says, and its way to a template's constants.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cubinet/verb.hpp"
#include "jit/runtime.hpp"
#include "jit/template_table.hpp"

namespace jit::inline v1 {

// Words of the command line that choose constants. Owns what constants_of refers to.
struct RequestWords {
  std::vector<std::string> names;     // may hold K=V too, so that "--set A=1 B=2" works
  std::vector<std::string> settings;  // "K=V", or "K=V,K=V" as a signature has them
  std::vector<std::pair<std::string, std::string>> constants;  // made by split()

  // Adds NAME, --set to what a verb takes.
  void declare(Arguments& arguments, const std::string& name_doc);
  // Fills `constants` and leaves only templates in `names`. Errors: UsageError.
  void split();
};

// The preset's constants (null: none) with those of the words in their place, typed as the template
// declares them. A value of another type and a name that the template does not declare go through
// as they are: the library refuses them in its own words. Lifetime: refers to the template and to
// `words`.
std::vector<Constant> constants_of(const table::Template& tmpl, const table::Preset* preset,
                                   const RequestWords& words);

// Errors: UsageError with the presets there are.
const table::Preset& preset_of(const table::Template& tmpl, std::string_view name);

// "num_tokens=17" -> sizes. Lifetime: refers to `words`. Errors: UsageError.
Sizes sizes_of(const std::vector<std::string>& words);

// Errors: UsageError.
Debug parse_debug(std::string_view text);

// "a,b" and "c" -> a, b, c
std::vector<std::string> split_commas(const std::vector<std::string>& words);

}  // namespace jit::inline v1
