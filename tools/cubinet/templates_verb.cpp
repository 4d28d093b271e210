// cubinet templates [NAME]
#include <fmt/format.h>

#include "cubinet/json.hpp"
#include "cubinet/template_text.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class TemplatesVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"templates", "Lists templates, or describes one",
            "  cubinet templates\n"
            "  cubinet templates merge_attn_states\n"
            "  cubinet templates merge_attn_states --json\n"};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"NAME", "A template to describe", {}}, name_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    TemplateRegistry& templates = context.impl().templates();
    if (name_.empty()) {
      list(templates.all());
      return kFine;
    }
    const table::Template& tmpl = templates.find(name_);
    print(json_ ? template_json(tmpl, true).text() : describe_template(tmpl));
    return kFine;
  }

 private:
  void list(const std::vector<const table::Template*>& templates) const {
    if (json_) {
      const auto make = [](const table::Template* tmpl) { return template_json(*tmpl, false); };
      print(Json::object({{"templates", Json::array_of(templates, make)}}).text());
      return;
    }
    TextTable table({{"TEMPLATE"},
                     {"SHAPES", Align::kRight},
                     {"BUCKETS", Align::kRight},
                     {"PRESETS", Align::kRight},
                     {"WHAT"}});
    for (const table::Template* tmpl : templates) {
      const Cardinality count = cardinality_of(*tmpl);
      table.add({std::string(tmpl->name), std::to_string(count.shapes),
                 std::to_string(count.buckets), std::to_string(tmpl->presets.size()),
                 std::string(tmpl->summary)});
    }
    print(table.text());
  }

  std::string name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_templates_verb() { return std::make_unique<TemplatesVerb>(); }

}  // namespace jit::inline v1
