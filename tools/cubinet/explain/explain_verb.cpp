// cubinet explain NAME
#include <fmt/format.h>

#include <algorithm>

#include "cubinet/device_option.hpp"
#include "cubinet/explain/explanation_text.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/request.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class ExplainVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "explain", "Tells where a kernel would come from, and why it is missed",
        "  cubinet explain merge_attn_states --preset bf16_d128 --arch sm_90a\n"
        "  cubinet explain merge_attn_states --set HEAD_SIZE=128 --set INPUT_TYPE=bf16 "
        "--size num_tokens=17\n"
        "\n"
        "Walks through what a process with this environment would do: how every constant gets\n"
        "its value (a tunable: by which tuning record, for the GPU at hand or --device), which "
        "tier\n"
        "answers what, and what happens then. For a miss it names the\n"
        "nearest entries and what of them changed (entry -> what is asked for), the reason, and\n"
        "the command that adds the kernel. Nothing is compiled, loaded, written or touched."};
  }

  void declare(Arguments& arguments) override {
    words_.declare(arguments, "The template");
    arguments.add({"--preset", "Start from a preset's constants", "PRESET"}, preset_);
    arguments.add({"--size", "A run-time size, to choose buckets; may be repeated", "NAME=NUMBER"},
                  sizes_);
    arguments.add({"--arch", "Architecture (else that of the GPU at hand)", "ARCH"}, arch_);
    arguments.add({"--device", "The GPU that asks (else the one at hand)", "NAME|ORDINAL"},
                  device_);
    arguments.add({"--debug", "none, lineinfo or full", "KIND"}, debug_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    words_.split();
    if (words_.names.size() != 1) throw UsageError("explain: expected the name of one template");
    ExplainedWords words;
    words.mode = context.only_look();
    Runtime::Impl& impl = context.impl();
    words.policy = impl.options().toolchain_policy;
    words.pack_policy = impl.options().pack_toolchain_policy;
    const table::Template& tmpl = impl.templates().find(words_.names.front());
    const table::Preset* preset = preset_.empty() ? nullptr : &preset_of(tmpl, preset_);
    const std::vector<Constant> constants = constants_of(tmpl, preset, words_);
    note_preset(preset, words);
    const Arch arch = arch_of(context, tmpl);
    const Explanation told = explain(impl.source(), impl.devices().driver_release(),
                                     {tmpl, constants, sizes_of(sizes_), arch, parse_debug(debug_),
                                      words.mode, &impl.tuning(), device_of(context, tmpl, arch)});
    print(json_ ? explanation_json(told, words).text() : explanation_text(told, words));
    return kFine;
  }

 private:
  void note_preset(const table::Preset* preset, ExplainedWords& words) const {
    if (preset == nullptr) return;
    words.preset = preset->name;
    for (const Constant& constant : preset->constants) {
      const bool replaced =
          std::any_of(words_.constants.begin(), words_.constants.end(),
                      [&](const auto& given) { return given.first == constant.name; });
      if (!replaced) words.of_preset.emplace_back(constant.name);
    }
  }

  std::optional<DeviceModel> device_of(Context& context, const table::Template& tmpl,
                                       Arch arch) const {
    if (device_.empty()) return device_at_hand(context, arch);
    if (auto found = find_device(context, tmpl, arch, device_)) return found;
    std::string known;
    for (const DeviceModel& model : context.impl().tuning().table(tmpl).devices(tmpl, arch)) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", model.name);
    }
    throw UsageError(
        fmt::format("--device {}: no GPU here and no tuning record of {} for {} has "
                    "that name; records have {}",
                    device_, tmpl.name, arch.text(), known.empty() ? "none" : known));
  }

  Arch arch_of(Context& context, const table::Template& tmpl) const {
    std::vector<std::string> words;
    if (!arch_.empty()) words.push_back(arch_);
    const std::vector<Arch> archs = archs_for(context, tmpl, parse_archs(words));
    if (!arch_.empty() && archs.size() != 1) throw UsageError("--arch: expected one architecture");
    return archs.front();
  }

  RequestWords words_;
  std::string preset_;
  std::vector<std::string> sizes_;
  std::string arch_;
  std::string device_;
  std::string debug_ = "none";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_explain_verb() { return std::make_unique<ExplainVerb>(); }

}  // namespace jit::inline v1
