// Tuning problems: the host sides of templates, by name, as the tuner asks for them.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// The host side of a template that the library ships; it speaks to the driver of the Runtime that
// tunes. Those of others bring their own.
struct ShippedTuningProblem {
  std::string_view template_name;
  std::unique_ptr<TuningProblem> (*make)(Driver& driver, const TuningProblemRequest& request);
};

// Defined where the kernels are.
std::span<const ShippedTuningProblem> shipped_tuning_problems();

bool has_tuning_problem(std::string_view template_name);

// Makes the problem: one given by set_tuning_problem, else a shipped one. Threads: safe.
// Errors: kInvalidArgument if there is none, or if what was given makes none.
std::unique_ptr<TuningProblem> make_tuning_problem(std::string_view template_name, Driver& driver,
                                                   const TuningProblemRequest& request);

}  // namespace jit::inline v1
