#include "runtime/tuning_problems.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

struct Given {
  std::mutex mutex;
  std::map<std::string, MakeTuningProblem, std::less<>> by_name;
};

// Never destroyed: static objects of other libraries may give theirs at any time.
Given& given() {
  static auto* const instance = new Given;
  return *instance;
}

MakeTuningProblem given_problem(std::string_view template_name) {
  Given& known = given();
  const std::lock_guard lock(known.mutex);
  const auto found = known.by_name.find(template_name);
  return found != known.by_name.end() ? found->second : MakeTuningProblem{};
}

const ShippedTuningProblem* shipped_problem(std::string_view template_name) {
  const std::span<const ShippedTuningProblem> shipped = shipped_tuning_problems();
  const auto found = std::find_if(
      shipped.begin(), shipped.end(),
      [&](const ShippedTuningProblem& problem) { return problem.template_name == template_name; });
  return found != shipped.end() ? &*found : nullptr;
}

[[noreturn]] void refuse(std::string_view template_name, std::string_view reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("tune {}: {}", template_name, reason));
}

}  // namespace

void set_tuning_problem(std::string_view template_name, MakeTuningProblem make) {
  Given& known = given();
  const std::lock_guard lock(known.mutex);
  known.by_name.insert_or_assign(std::string(template_name), std::move(make));
}

bool has_tuning_problem(std::string_view template_name) {
  return given_problem(template_name) != nullptr || shipped_problem(template_name) != nullptr;
}

std::unique_ptr<TuningProblem> make_tuning_problem(std::string_view template_name, Driver& driver,
                                                   const TuningProblemRequest& request) {
  std::unique_ptr<TuningProblem> made;
  if (const MakeTuningProblem make = given_problem(template_name)) {
    try {
      made = make(request);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      refuse(template_name, fmt::format("its tuning problem could not be made ({}); make it of "
                                        "what the device has room for",
                                        error.what()));
    }
  } else if (const ShippedTuningProblem* shipped = shipped_problem(template_name)) {
    made = shipped->make(driver, request);
  } else {
    refuse(template_name,
           "nobody has said how to launch and check it; call jit::set_tuning_problem in the "
           "program that tunes");
  }
  if (made == nullptr || made->sets() == 0) {
    refuse(template_name, "its tuning problem has no operands; make at least one set of them");
  }
  return made;
}

}  // namespace jit::inline v1
