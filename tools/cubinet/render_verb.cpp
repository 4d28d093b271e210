// cubinet render NAME
#include "render/unit.hpp"

#include <fmt/format.h>

#include "cubinet/json.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/request.hpp"
#include "cubinet/template_text.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class RenderVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"render", "Prints the unit that the compiler would see",
            "  cubinet render merge_attn_states --set HEAD_SIZE=128 --set INPUT_TYPE=bf16\n"
            "  cubinet render merge_attn_states --preset bf16_d128 --size num_tokens=17\n"
            "  cubinet render merge_attn_states --preset bf16_d128 --standalone > one.cu\n"
            "  cubinet render merge_attn_states --preset bf16_d128 --key --arch sm_90a\n"};
  }

  void declare(Arguments& arguments) override {
    words_.declare(arguments, "The template");
    arguments.add({"--preset", "Start from a preset's constants", "PRESET"}, preset_);
    arguments.add({"--size", "A run-time size, to choose buckets; may be repeated", "NAME=NUMBER"},
                  sizes_);
    arguments.add({"--plain", "The unit exactly as it is compiled, without documentation", {}},
                  plain_);
    arguments.add({"--standalone", "One file with every header in it, for nvcc", {}}, standalone_);
    arguments.add({"--key", "Signature, symbol and key, and what the key is taken over", {}}, key_);
    arguments.add({"--arch", "Architecture, for --key (else that of the GPU at hand)", "ARCH"},
                  arch_);
    arguments.add({"--debug", "none, lineinfo or full, for --key", "KIND"}, debug_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    words_.split();
    if (words_.names.size() != 1) throw UsageError("render: expected the name of one template");
    if (int{plain_} + int{standalone_} + int{key_} > 1) {
      throw UsageError("render: --plain, --standalone and --key exclude each other");
    }
    const Debug debug = parse_debug(debug_);
    const table::Template& tmpl = context.impl().templates().find(words_.names.front());
    const table::Preset* preset = preset_.empty() ? nullptr : &preset_of(tmpl, preset_);
    const Signature signature = resolve(tmpl, constants_of(tmpl, preset, words_), sizes_of(sizes_));
    if (key_) print_key(context, signature, debug);
    else print_unit(signature, debug);
    return kFine;
  }

 private:
  void print_unit(const Signature& signature, Debug debug) const {
    std::string unit = plain_        ? render_unit(signature)
                       : standalone_ ? render_standalone(signature, debug)
                                     : render_documented(signature);
    if (!json_) return print(unit);
    Json json = describe(signature, debug);
    json.set("unit", unit);
    print(json.text());
  }

  void print_key(Context& context, const Signature& signature, Debug debug) const {
    const std::vector<std::string> archs =
        arch_.empty() ? std::vector<std::string>{} : std::vector<std::string>{arch_};
    const Arch arch = archs_for(context, *signature.tmpl, parse_archs(archs)).front();
    check_capability(*signature.tmpl, arch);
    const Unit unit = make_unit(signature, arch, debug);
    const std::string transcript =
        key_transcript(unit.text, signature.tmpl->bundle_sha256, arch, unit.options);
    if (!json_) {
      TextTable table = TextTable::pairs();
      table.add({"signature", unit.name()});
      table.add({"symbol", signature.symbol()});
      table.add({"key", unit.key.hex()});
      return print(table.text() + "\n" + transcript);
    }
    Json json = describe(signature, debug);
    json.set("arch", arch.text()).set("key", unit.key.hex()).set("transcript", transcript);
    print(json.text());
  }

  static Json describe(const Signature& signature, Debug debug) {
    Json constants = Json::object();
    for (std::size_t i = 0; i < signature.values.size(); ++i) {
      constants.set(signature.tmpl->constants[i].name, value_json(signature.values[i]));
    }
    const auto options = canonical_options(*signature.tmpl, debug);
    return Json::object(
        {{"template", signature.tmpl->name},
         {"signature", signature.text()},
         {"symbol", signature.symbol()},
         {"constants", std::move(constants)},
         {"options", Json::array_of(options, [](const auto& option) { return Json(option); })}});
  }

  RequestWords words_;
  std::string preset_;
  std::vector<std::string> sizes_;
  std::string arch_;
  std::string debug_ = "none";
  bool plain_ = false;
  bool standalone_ = false;
  bool key_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_render_verb() { return std::make_unique<RenderVerb>(); }

}  // namespace jit::inline v1
