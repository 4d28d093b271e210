// cubinet doctor
#include "cubinet/doctor/doctor_report.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class DoctorVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"doctor", "Says what was found, what is wrong, and the remedy",
            "  cubinet doctor\n"
            "  cubinet doctor --json | jq .problems\n"
            "\n"
            "NVRTC is looked for, without loading it, in this order:\n" +
                search_order_text() +
                "\n"
                "Fails only where precompile would: no NVRTC, or no usable cache directory. With\n"
                "CUBINET_MODE=frozen it takes neither, and fails where a pack cannot be read. A "
                "missing\n"
                "driver or GPU is no error."};
  }
  void declare(Arguments& arguments) override { arguments.add_json(json_); }

  int run(Context& context) override {
    const Examination found = examine(context);
    print(json_ ? doctor_json(found).text() : doctor_text(found));
    return found.blocked() ? kFailedWork : kFine;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_doctor_verb() { return std::make_unique<DoctorVerb>(); }

}  // namespace jit::inline v1
