// cubinet pack verify FILE
#include <fmt/format.h>

#include "cubinet/pack/pack_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class PackVerifyVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"pack verify",
            "Reads a pack whole and checks every entry, the index and the tuning records",
            "  cubinet pack verify kernels.cupack\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "The pack", {}}, files_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const auto pack = open_pack(context, files_);
    const std::vector<PackFault> faults = pack->verify();
    const std::size_t entries = pack->state().entries;
    if (json_) {
      const auto fault_json = [](const PackFault& fault) {
        return Json::object({{"where", fault.where}, {"what", fault.what}});
      };
      print(Json::object({{"path", pack->path().string()},
                          {"checked", entries},
                          {"ok", faults.empty()},
                          {"faults", Json::array_of(faults, fault_json)}})
                .text());
    } else {
      for (const PackFault& fault : faults) {
        print(fmt::format("{}: {}\n", fault.where, fault.what));
      }
      print(fmt::format("{} entries checked, {} faults\n", entries, faults.size()));
      if (!faults.empty()) {
        print("what is damaged is never used; copy the pack again, or make it again\n");
      }
    }
    return faults.empty() ? kFine : kFailedWork;
  }

 private:
  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_pack_verify_verb() { return std::make_unique<PackVerifyVerb>(); }

}  // namespace jit::inline v1
