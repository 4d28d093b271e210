#include "runtime/tuner.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/runtime_impl.hpp"
#include "runtime/tuning_problems.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse(const table::Template& tmpl, std::string_view reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("tune {}: {}", tmpl.name, reason));
}

void require_shape_alone(const table::Template& tmpl, std::span<const Constant> constants) {
  for (const Constant& constant : constants) {
    const auto decl =
        std::find_if(tmpl.constants.begin(), tmpl.constants.end(),
                     [&](const table::ConstantDecl& known) { return known.name == constant.name; });
    if (decl == tmpl.constants.end() || decl->role == table::Role::kShape) continue;
    refuse(tmpl, fmt::format("{} is tunable and what is looked for; give shape constants alone",
                             constant.name));
  }
}

}  // namespace

std::vector<TuningRecord> Runtime::Impl::tune(const TuningJob& job) {
  require_shape_alone(job.tmpl, job.constants);
  static_cast<void>(variants_of(job.tmpl));
  if (!has_tuning_problem(job.tmpl.name)) {
    refuse(job.tmpl,
           "nobody has said how to launch and check it; call jit::set_tuning_problem in the "
           "program that tunes");
  }
  devices_.driver();
  throw Error(ErrorCode::kInternal,
              fmt::format("tune {}: this build cannot measure", job.tmpl.name));
}

}  // namespace jit::inline v1
