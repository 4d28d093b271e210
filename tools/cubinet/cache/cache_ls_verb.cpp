// cubinet cache ls
#include <fmt/format.h>

#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class CacheLsVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache ls", "Lists compiled kernels",
            "  cubinet cache ls\n"
            "  cubinet cache ls --json | jq '.entries[].signature'\n"};
  }
  void declare(Arguments& arguments) override { arguments.add_json(json_); }

  int run(Context& context) override {
    const Directory& directory = usable_directory_of(context);
    const std::vector<EntryInfo> entries = list_entries(directory);
    std::uint64_t bytes = 0;
    for (const EntryInfo& info : entries) bytes += info.size_bytes;
    if (json_) {
      print(Json::object({{"path", directory.root().string()},
                          {"bytes", bytes},
                          {"entries", Json::array_of(entries, entry_json)}})
                .text());
      return kFine;
    }
    TextTable table({{"KEY"},
                     {"TOOLCHAIN"},
                     {"BYTES", Align::kRight},
                     {"LAST USE", Align::kRight},
                     {"SIGNATURE"}});
    for (const EntryInfo& info : entries) {
      const std::string toolchain =
          info.summary ? info.summary->entry.artifact.toolchain.text() : "?";
      table.add({short_key(info), toolchain, format_bytes(info.size_bytes),
                 format_age(info.last_use), signature_of(info)});
    }
    if (!table.empty()) print(table.text());
    print(fmt::format("{} entries, {} in {}\n", entries.size(), format_bytes(bytes),
                      directory.root().string()));
    return kFine;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_ls_verb() { return std::make_unique<CacheLsVerb>(); }

}  // namespace jit::inline v1
