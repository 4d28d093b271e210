// cubinet pack ls FILE
#include <fmt/format.h>

#include "cubinet/pack/pack_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class PackLsVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"pack ls", "Lists the kernels of a pack; reads its index alone",
            "  cubinet pack ls kernels.cupack\n"
            "  cubinet pack ls kernels.cupack --json | jq -r '.entries[].signature'\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "The pack", {}}, files_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const auto pack = open_pack(context, files_);
    const std::vector<PackedEntry> entries = entries_of(*pack);
    const std::uint64_t bytes = pack->state().bytes;
    if (json_) {
      print(Json::object({{"path", pack->path().string()},
                          {"bytes", bytes},
                          {"entries", Json::array_of(entries, packed_json)}})
                .text());
      return kFine;
    }
    TextTable table(
        {{"KEY"}, {"TOOLCHAIN"}, {"BYTES", Align::kRight}, {"REGS", Align::kRight}, {"SIGNATURE"}});
    for (const PackedEntry& packed : entries) {
      table.add({packed.key.hex().substr(0, 12), packed.toolchain.text(),
                 format_bytes(packed.bytes), std::to_string(packed.registers), packed.signature});
    }
    if (!table.empty()) print(table.text());
    print(fmt::format("{} entries, {} in {}\n", entries.size(), format_bytes(bytes),
                      pack->path().string()));
    return kFine;
  }

 private:
  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_pack_ls_verb() { return std::make_unique<PackLsVerb>(); }

}  // namespace jit::inline v1
