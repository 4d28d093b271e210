#include "runtime/tuning_problems.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "jit/error.hpp"
#include "runtime/fork_support.hpp"

namespace jit::inline v1 {
namespace {

// What programs gave. Nobody comes here with another lock.
class Given final : private ForkAware {
 public:
  Given() { join(); }
  ~Given() override { leave(); }

  void set(std::string_view template_name, MakeTuningProblem make) {
    const std::lock_guard lock(mutex_);
    by_name_.insert_or_assign(std::string(template_name), std::move(make));
  }
  MakeTuningProblem find(std::string_view template_name) {
    const std::lock_guard lock(mutex_);
    const auto found = by_name_.find(template_name);
    return found != by_name_.end() ? found->second : MakeTuningProblem{};
  }

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  std::mutex mutex_;
  std::map<std::string, MakeTuningProblem, std::less<>> by_name_;
};

// Never destroyed: static objects of other libraries may give theirs at any time.
Given& given() {
  static auto* const instance = new Given;
  return *instance;
}

// Made when the library is loaded, so that no fork meets it half made.
[[maybe_unused]] const Given& kMadeAtLoad = given();

MakeTuningProblem given_problem(std::string_view template_name) {
  return given().find(template_name);
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
  given().set(template_name, std::move(make));
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
