#include "runtime/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "compile/nvrtc_version.hpp"
#include "runtime/add_command.hpp"
#include "runtime/frozen_miss.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

class Teller {
 public:
  Teller(ArtifactSource& source, std::optional<CompilerRelease> driver,
         const ExplainRequest& request)
      : source_(source), driver_(driver), request_(request) {}

  Explanation tell() {
    told_.toolchain = source_.toolchain(driver_);
    tell_constants();
    if (told_.toolchain) told_.nvrtc_version = find_version(*told_.toolchain);
    check_capability(request_.tmpl, request_.arch);
    unit_ = make_unit(told_.signature, request_.arch, request_.debug);
    told_.arch = request_.arch;
    told_.debug = request_.debug;
    told_.key = unit_.key;
    ask_tiers();
    tell_ending();
    if (told_.ending != Ending::kServed) tell_miss();
    return std::move(told_);
  }

 private:
  void tell_constants() {
    const table::Template& tmpl = request_.tmpl;
    const BucketSteps steps = steps_of(tmpl, request_.sizes);
    told_.signature = resolve(tmpl, request_.constants, steps);
    for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
      const table::BucketDecl& bucket = tmpl.buckets[i];
      BucketChoice choice{&bucket, bucket.steps[steps[i]].label, {}};
      for (const Size& size : request_.sizes) {
        if (size.name == bucket.size) choice.size = size.value;
      }
      told_.buckets.push_back(choice);
    }
    const auto choice = tell_record(steps);
    const table::SelectionRow* row = select_row(tmpl, told_.signature.values, steps);
    if (row != nullptr) told_.row = static_cast<std::size_t>(row - tmpl.selection.data()) + 1;
    for (const table::ConstantDecl& decl : tmpl.constants) {
      told_.origins.push_back(origin_of(decl, choice, row));
    }
  }

  // What a new process with this device and compiler would take from its records.
  std::optional<TunedChoice> tell_record(const BucketSteps& steps) {
    const table::Template& tmpl = request_.tmpl;
    told_.device = request_.device;
    if (request_.tuning == nullptr) return std::nullopt;
    if (!request_.tuning->chooses(tmpl, request_.constants)) return std::nullopt;
    TuningTarget target{request_.arch, std::nullopt, request_.device};
    if (told_.toolchain) target.release = told_.toolchain->id.release;
    const TuningTable& records = request_.tuning->table(tmpl);
    told_.skipped = records.skipped();
    const std::vector<SkippedRecord> damaged = request_.tuning->damaged();
    told_.skipped.insert(told_.skipped.end(), damaged.begin(), damaged.end());
    const auto choice =
        records.choose(tmpl, told_.signature.values, request_.constants, steps, target);
    note_pinned(records.choose(tmpl, told_.signature.values, {}, steps, target), choice);
    if (!choice) return std::nullopt;
    told_.record = {choice->rule, std::string(choice->device), std::string(choice->toolchain),
                    std::string(choice->place)};
    told_.signature = resolve(tmpl, request_.constants, steps, choice->set);
    return choice;
  }

  // The record that would have chosen, had nothing been pinned.
  void note_pinned(const std::optional<TunedChoice>& free,
                   const std::optional<TunedChoice>& choice) {
    if (!free || (choice && choice->place == free->place)) return;
    std::string set;
    for (const Constant& constant : free->set) {
      set += fmt::format("{}{}={}", set.empty() ? "" : ",", constant.name,
                         format_value(constant.value));
    }
    told_.skipped.push_back(
        {std::string(free->place), std::string(told_.signature.tmpl->name), RecordIssue::kPinned,
         fmt::format("it says {}, what is pinned says otherwise, and a record is used whole or "
                     "not at all",
                     set)});
  }

  ValueOrigin origin_of(const table::ConstantDecl& decl, const std::optional<TunedChoice>& choice,
                        const table::SelectionRow* row) const {
    const auto has = [&](std::span<const Constant> constants) {
      return std::any_of(constants.begin(), constants.end(),
                         [&](const Constant& constant) { return constant.name == decl.name; });
    };
    if (has(request_.constants)) return ValueOrigin::kGiven;
    if (choice && has(choice->set)) {
      return choice->rule == TuningRule::kExact ? ValueOrigin::kRecord : ValueOrigin::kHint;
    }
    return row != nullptr && has(row->set) ? ValueOrigin::kSelection : ValueOrigin::kDefault;
  }

  void ask_tiers() {
    told_.answers = source_.ask_all(unit_);
    if (served_by(told_.answers) || compiles()) return;
    for (const Arch arch : archs_that_serve(request_.tmpl.target, request_.arch.capability())) {
      if (arch == request_.arch || arch.number() < request_.tmpl.min_capability) continue;
      const Unit other = make_unit(told_.signature, arch, request_.debug);
      for (TierAnswer& answer : source_.ask_all(other)) {
        told_.elsewhere.emplace_back(arch, std::move(answer));
      }
    }
  }

  static bool served_by(const std::vector<TierAnswer>& answers) {
    return std::any_of(answers.begin(), answers.end(),
                       [](const TierAnswer& answer) { return answer.serves(); });
  }

  bool compiles() const { return why_no_compile().empty(); }

  // Why a miss would not be compiled; empty if it would.
  std::string why_no_compile() const {
    if (request_.mode == Mode::kFrozen) return "CUBINET_MODE=frozen forbids compiling";
    if (!told_.toolchain) {
      return "no NVRTC was found to compile it with; see cubinet doctor";
    }
    const CompilerRelease release = told_.toolchain->id.release;
    if (!compiler_knows(release, request_.arch)) return explain_unknown(release, request_.arch);
    if (driver_ && !loads_on(release, *driver_)) {
      return fmt::format("NVRTC {} is newer than the driver, which takes CUDA {}", release.text(),
                         driver_->text());
    }
    return {};
  }

  void tell_ending() {
    for (const TierAnswer& answer : told_.answers) {
      if (!answer.serves()) continue;
      told_.next = fmt::format("the {} {} serves it", name_of(answer.tier), answer.place.native());
      return;
    }
    for (const auto& [arch, answer] : told_.elsewhere) {
      if (!answer.serves()) continue;
      told_.next = fmt::format("the {} {} serves it with code for {}", name_of(answer.tier),
                               answer.place.native(), arch.text());
      return;
    }
    const std::string why_not = why_no_compile();
    told_.ending = why_not.empty() ? Ending::kCompileOnly : Ending::kError;
    told_.next = why_not.empty() ? how_compiled() : "an error: " + why_not;
  }

  std::string how_compiled() {
    std::string text = fmt::format("it is compiled with NVRTC {} ({})", asked_version(),
                                   told_.toolchain->nvrtc.native());
    const Directory* directory = source_.directory();
    if (request_.mode == Mode::kReadOnly) {
      return text + " and not kept: CUBINET_MODE=readonly";
    }
    if (directory == nullptr) return text + " and not kept: there is no directory";
    if (!directory->usable()) return text + " and not kept: the directory is refused";
    told_.ending = Ending::kCompile;
    return text + fmt::format(" and kept in {}", directory->root().native());
  }

  std::string asked_version() const {
    return told_.nvrtc_version.empty() ? told_.toolchain->id.release.text() : told_.nvrtc_version;
  }

  void tell_miss() {
    Entry asked = asked_of(source_, unit_);
    asked.artifact.compiler_version = told_.nvrtc_version;
    told_.nearest = find_nearest(source_, asked, kCommandBounds);
    told_.reason = reason();
    told_.command = add_command(unit_, source_.options());
  }

  // What a tier has against the very entry tells more than how others differ.
  std::string reason() const {
    const auto& entries = told_.nearest.entries;
    const bool differs = !entries.empty() && !entries.front().differences.empty();
    for (const TierAnswer& answer : told_.answers) {
      const MissReason why = answer.miss.reason;
      if (why == MissReason::kAbsent) continue;
      if (why == MissReason::kOtherToolchain && differs) continue;
      return text_of(answer);
    }
    if (!entries.empty() && !differs) return "it has been added meanwhile; ask again";
    if (entries.empty()) {
      return told_.answers.empty()
                 ? "there is no tier below memory"
                 : fmt::format(
                       "no entry of {} in any tier{}", request_.tmpl.name,
                       told_.nearest.complete ? "" : ", as far as they were looked through");
    }
    return entries.front().differences.front().text();
  }

  ArtifactSource& source_;
  std::optional<CompilerRelease> driver_;
  const ExplainRequest& request_;
  Unit unit_;
  Explanation told_;
};

}  // namespace

std::string_view name_of(ValueOrigin origin) noexcept {
  switch (origin) {
    case ValueOrigin::kGiven: return "given";
    case ValueOrigin::kDefault: return "default";
    case ValueOrigin::kSelection: return "selection";
    case ValueOrigin::kRecord: return "record";
    case ValueOrigin::kHint: return "hint";
  }
  return "?";
}

std::string_view name_of(Ending ending) noexcept {
  switch (ending) {
    case Ending::kServed: return "served";
    case Ending::kCompile: return "compile";
    case Ending::kCompileOnly: return "compile_only";
    case Ending::kError: return "error";
  }
  return "?";
}

Explanation explain(ArtifactSource& source, std::optional<CompilerRelease> driver,
                    const ExplainRequest& request) {
  return Teller(source, driver, request).tell();
}

}  // namespace jit::inline v1
