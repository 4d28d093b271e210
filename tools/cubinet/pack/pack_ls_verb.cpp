// cubinet pack ls FILE
#include <fmt/format.h>

#include "cubinet/pack/pack_access.hpp"
#include "cubinet/pack/pack_tuning.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "jit/error.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

class PackLsVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"pack ls", "Lists the kernels of a pack, and how many tuning records; reads no kernel",
            "  cubinet pack ls kernels.cupack\n"
            "  cubinet pack ls kernels.cupack --json | jq -r '.entries[].signature'\n"
            "  CUBINET_PACKS=kernels.cupack cubinet tuning show      its tuning records, in use\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "The pack", {}}, files_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const auto pack = open_pack(context, files_);
    const std::vector<PackedEntry> entries = entries_of(*pack);
    const std::uint64_t bytes = pack->state().bytes;
    const std::string tuning = tuning_of(*pack);
    if (json_) {
      print(Json::object({{"path", pack->path().string()},
                          {"bytes", bytes},
                          {"entries", Json::array_of(entries, packed_json)},
                          {"tuning", tuning_json(tuning)}})
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
    print(fmt::format("{} entries, {} tuning records, {} in {}\n", entries.size(),
                      count_lines(tuning), format_bytes(bytes), pack->path().string()));
    return kFine;
  }

 private:
  static std::string tuning_of(const Pack& pack) {
    std::string why;
    auto tuning = pack.tuning(&why);
    if (!tuning) throw Error(ErrorCode::kIo, why);
    return *std::move(tuning);
  }

  static Json tuning_json(const std::string& tuning) {
    const auto lines = parse_tuning_records(tuning, "tuning");
    return Json::array_of(lines, [](const TuningLine& line) {
      return line.record ? Json::parse(line.record->text()) : Json(line.why);
    });
  }

  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_pack_ls_verb() { return std::make_unique<PackLsVerb>(); }

}  // namespace jit::inline v1
