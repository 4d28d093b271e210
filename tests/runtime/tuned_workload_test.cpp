// A serving process: whatever token counts its requests have, nothing is tuned, nothing compiled.
#include <algorithm>
#include <random>
#include <set>

#include "base/hex.hpp"
#include "runtime/tuning_fixture.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "signature/selection.hpp"
#include "signature/signature.hpp"
#include "signature/tuning_digest.hpp"

namespace jit {

inline namespace v1 {
std::span<const table::Template> shipped_templates();
}

namespace {

using testing::kH200;
using testing::TuningScene;

constexpr int kRequests = 10'000;

std::span<const Constant> tuned_set() {
  static const std::vector<Constant> set{{"KEEP_IN_L1", true}, {"THREADS", 96}};
  return set;
}

// The shipped templates that have the constants of that set.
std::vector<const table::Template*> subjects() {
  std::vector<const table::Template*> found;
  for (const table::Template& tmpl : shipped_templates()) {
    const bool has_all = std::ranges::all_of(tuned_set(), [&](const Constant& constant) {
      return std::ranges::any_of(tmpl.constants, [&](const table::ConstantDecl& known) {
        return known.name == constant.name;
      });
    });
    if (has_all) found.push_back(&tmpl);
  }
  return found;
}

// Tuning of any shipped template, counted and refused, for as long as this lives.
class TuningForbidden {
 public:
  TuningForbidden() {
    for (const table::Template& tmpl : shipped_templates()) {
      set_tuning_problem(tmpl.name, [this](const TuningProblemRequest&) {
        ++tunings_;
        return std::unique_ptr<TuningProblem>();
      });
    }
  }
  ~TuningForbidden() {
    for (const table::Template& tmpl : shipped_templates()) set_tuning_problem(tmpl.name, {});
  }
  TuningForbidden(const TuningForbidden&) = delete;
  TuningForbidden& operator=(const TuningForbidden&) = delete;
  int tunings() const { return tunings_; }

 private:
  int tunings_ = 0;
};

// What a team measured on the H200: it counts before what ships with the template.
TuningRecord record_for(const table::Template& tmpl, const Signature& signature,
                        const BucketSteps& steps) {
  TuningRecord record;
  record.name = tmpl.name;
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    if (tmpl.constants[i].role != table::Role::kShape) continue;
    record.shape.push_back(make_recorded_constant(tmpl.constants[i].name, signature.values[i]));
  }
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    const table::BucketDecl& bucket = tmpl.buckets[i];
    record.buckets.push_back({std::string(bucket.name), std::string(bucket.steps[steps[i]].label)});
  }
  std::sort(record.shape.begin(), record.shape.end());
  for (const Constant& constant : tuned_set()) {
    const std::size_t i =
        static_cast<std::size_t>(find_constant(tmpl, constant.name) - tmpl.constants.data());
    record.set.push_back(make_recorded_constant(constant.name, signature.values[i]));
  }
  record.arch = "sm_90a";
  record.toolchain = testing::toolchain_at_hand().id.release.text();
  record.bundle = to_hex(tuning_digest(tmpl));
  record.device = kH200;
  record.evidence.at = "2026-11-21T18:00:00Z";
  return record;
}

// Every preset in every bucket step; the kernels are spelled out from the records as written.
struct Enumerated {
  std::vector<KernelSpec> warm_up;
  std::set<std::string> kernels;
  std::vector<std::string> records;
};

Enumerated enumerate() {
  Enumerated all;
  const Arch arch = *Arch::parse("sm_90a");
  bool recorded = true;  // every other preset, with a choice of its own in its first step
  for (const table::Template* const subject : subjects()) {
    const table::Template& tmpl = *subject;
    for (const table::Preset& preset : tmpl.presets) {
      for (const BucketSteps& steps : all_steps(tmpl)) {
        const bool first = steps == BucketSteps{};
        const Signature signature =
            resolve(tmpl, preset.constants, steps,
                    recorded && first ? tuned_set() : std::span<const Constant>());
        all.kernels.insert(signature.text(arch));
        all.records.push_back(record_for(tmpl, signature, steps).text());
        Sizes sizes;
        for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
          const auto& bucket = tmpl.buckets[i];
          sizes.add({bucket.size, steps[i] == 0 ? 0 : bucket.steps[steps[i] - 1].up_to + 1});
        }
        all.warm_up.emplace_back(tmpl.name, preset.constants, sizes);
      }
      recorded = !recorded;
    }
  }
  return all;
}

struct Preset {
  const table::Template* tmpl;
  const table::Preset* preset;
};

std::vector<Preset> presets() {
  std::vector<Preset> found;
  for (const table::Template* const tmpl : subjects()) {
    for (const table::Preset& preset : tmpl->presets) found.push_back({tmpl, &preset});
  }
  return found;
}

TEST_CASE("ten thousand requests with random token counts tune nothing and compile nothing") {
  TuningScene scene;
  const TuningForbidden forbidden;
  const Enumerated all = enumerate();
  REQUIRE_FALSE(all.kernels.empty());
  const auto file = scene.directory / "team.jsonl";
  scene.write(file, all.records);
  scene.options.tuning_files = {file};
  Runtime runtime(scene.options);
  REQUIRE(runtime.warm_up(all.warm_up).ok());
  const Stats warm = runtime.stats();

  std::mt19937_64 random(20261121);
  const std::vector<Preset> from = presets();
  std::set<std::string> kernels;
  for (int i = 0; i < kRequests; ++i) {
    const Preset& wanted = from[random() % from.size()];
    const std::int64_t tokens = static_cast<std::int64_t>(random() >> (43 + random() % 20));
    const Kernel kernel =
        runtime.get_kernel(wanted.tmpl->name, wanted.preset->constants, {{"num_tokens", tokens}});
    kernels.insert(kernel.info().signature);
  }
  CHECK(kernels == all.kernels);
  const Stats stats = runtime.stats();
  CHECK(stats.compiles == warm.compiles);
  CHECK(stats.misses == warm.misses);
  CHECK(stats.disk_hits == warm.disk_hits);
  CHECK(stats.memory_hits == warm.memory_hits + kRequests);
  CHECK(stats.memory_kernels == all.kernels.size());
  CHECK(forbidden.tunings() == 0);
  CHECK_FALSE(std::filesystem::exists(scene.tuning_file()));
  CHECK(scene.log.warnings().empty());
}

}  // namespace
}  // namespace jit
