// cubinet cache verify [KEYPREFIX...]
#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

// What is wrong with an entry: "bad_checksum", or the system's own word.
std::string damage_text(const EntryCheck& check) {
  if (check.ok()) return "none";
  return check.error != 0 ? error_text(check.error) : std::string(name_of(check.damage));
}

Json check_json(const EntryCheck& check) {
  Json json = entry_json(check.info);
  json.set("ok", check.ok()).set("damage", check.ok() ? Json() : Json(damage_text(check)));
  return json;
}

class CacheVerifyVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache verify", "Reads entries whole and checks them; changes nothing",
            "  cubinet cache verify\n"
            "  cubinet cache verify 3f2a91\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"KEYPREFIX", "First digits of keys; none means every entry", {}}, prefixes_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    check_prefixes(prefixes_);
    const Directory& directory = usable_directory_of(context);
    if (prefixes_.empty()) prefixes_.emplace_back();
    std::vector<EntryCheck> checks;
    for (const std::string& prefix : prefixes_) {
      for (EntryCheck& check : verify_entries(directory, prefix))
        checks.push_back(std::move(check));
    }
    const auto damaged = static_cast<std::size_t>(std::count_if(
        checks.begin(), checks.end(), [](const EntryCheck& check) { return !check.ok(); }));
    if (json_) {
      print(Json::object({{"checked", checks.size()},
                          {"damaged", damaged},
                          {"entries", Json::array_of(checks, check_json)}})
                .text());
    } else {
      report(checks, damaged);
    }
    return damaged == 0 ? kFine : kFailedWork;
  }

 private:
  static void report(const std::vector<EntryCheck>& checks, std::size_t damaged) {
    for (const EntryCheck& check : checks) {
      if (check.ok()) continue;
      print(fmt::format("{} {}: {} ({})\n", short_key(check.info), damage_text(check),
                        signature_of(check.info), check.info.path.string()));
    }
    print(fmt::format("{} entries checked, {} damaged\n", checks.size(), damaged));
    if (damaged == 0) return;
    print("what is damaged is never used: at its next use it is set aside and built again\n");
  }

  std::vector<std::string> prefixes_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_verify_verb() { return std::make_unique<CacheVerifyVerb>(); }

}  // namespace jit::inline v1
