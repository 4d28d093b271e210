// cubinet cache path
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class CachePathVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache path", "Prints the directory of compiled kernels",
            "  du -sh \"$(cubinet cache path)\"\n"};
  }
  void declare(Arguments& arguments) override { arguments.add_json(json_); }

  int run(Context& context) override {
    const Directory& directory = directory_of(context);
    if (!json_) {
      print(directory.root().string() + "\n");
      return kFine;
    }
    const std::string reason = directory.reason();
    print(Json::object({{"path", directory.root().string()},
                        {"usable", reason.empty()},
                        {"reason", reason.empty() ? Json() : Json(reason)}})
              .text());
    return kFine;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_path_verb() { return std::make_unique<CachePathVerb>(); }

}  // namespace jit::inline v1
