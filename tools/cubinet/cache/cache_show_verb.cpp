// cubinet cache show KEYPREFIX
#include <fmt/format.h>

#include "base/hex.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

std::string entry_text(const EntryInfo& info) {
  TextTable table = TextTable::pairs();
  table.add({"key", info.key_hex});
  table.add({"file", info.path.string()});
  table.add({"bytes", std::to_string(info.size_bytes)});
  table.add({"last_use", format_time(info.last_use)});
  if (!info.summary) return table.text() + "its header cannot be read; see cubinet cache verify\n";
  const Entry& entry = info.summary->entry;
  const Artifact& artifact = entry.artifact;
  const ArtifactFacts& facts = artifact.facts;
  table.add({"signature", entry.signature});
  table.add({"template", entry.name});
  table.add({"symbol", artifact.symbol});
  table.add({"architecture", artifact.arch.text()});
  table.add({"kind", "cubin"});
  table.add({"toolchain", fmt::format("{} (build {})", artifact.toolchain.text(),
                                      to_hex(artifact.toolchain.build))});
  if (!artifact.compiler_version.empty()) table.add({"NVRTC", artifact.compiler_version});
  table.add({"options", fmt::format("{}", fmt::join(entry.options, " "))});
  table.add({"key format", std::to_string(entry.key_format)});
  table.add({"unit", to_hex(entry.unit_sha256)});
  table.add({"bundle", to_hex(entry.bundle_sha256)});
  table.add({"producer", entry.producer});
  table.add({"epoch", std::to_string(entry.epoch)});
  table.add({"cubin", fmt::format("{} bytes", info.summary->cubin_bytes)});
  table.add({"compile time", fmt::format("{:.1f} ms", facts.compile_ms)});
  table.add({"registers", fmt::format("{} per thread", facts.registers)});
  table.add({"shared memory", fmt::format("{} bytes per block", facts.smem_bytes)});
  table.add({"spills", fmt::format("{} bytes stored, {} bytes loaded", facts.spill_store_bytes,
                                   facts.spill_load_bytes)});
  table.add({"stack", fmt::format("{} bytes", facts.stack_bytes)});
  table.add({"serialized wgmma", std::to_string(facts.serialized_wgmma)});
  table.add({"parameters", fmt::format("{} bytes", facts.params_bytes)});
  table.add(
      {"threads", facts.max_threads == 0 ? "any" : fmt::format("at most {}", facts.max_threads)});
  TextTable files({{"SHA-256"}, {"FILE"}}, 2);
  for (const FileDigest& file : entry.bundle_files) files.add({to_hex(file.sha256), file.path});
  return table.text() + "made from\n" + files.text();
}

Json whole_json(const EntryInfo& info) {
  Json json = entry_json(info);
  if (!info.summary) return json;
  const Entry& entry = info.summary->entry;
  const ArtifactFacts& facts = entry.artifact.facts;
  json.set("kind", "cubin")
      .set("toolchain_build", to_hex(entry.artifact.toolchain.build))
      .set("nvrtc_version", entry.artifact.compiler_version)
      .set("options",
           Json::array_of(entry.options, [](const auto& option) { return Json(option); }))
      .set("key_format", entry.key_format)
      .set("unit_sha256", to_hex(entry.unit_sha256))
      .set("bundle_sha256", to_hex(entry.bundle_sha256))
      .set("producer", entry.producer)
      .set("epoch", entry.epoch)
      .set("spill_store_bytes", facts.spill_store_bytes)
      .set("spill_load_bytes", facts.spill_load_bytes)
      .set("stack_bytes", facts.stack_bytes)
      .set("serialized_wgmma", facts.serialized_wgmma)
      .set("params_bytes", facts.params_bytes)
      .set("max_threads", facts.max_threads)
      .set("bundle_files", Json::array_of(entry.bundle_files, [](const FileDigest& file) {
             return Json::object({{"path", file.path}, {"sha256", to_hex(file.sha256)}});
           }));
  return json;
}

class CacheShowVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache show", "Prints all that entries say about themselves",
            "  cubinet cache show 3f2a91\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"KEYPREFIX", "The first digits of a key", {}}, prefixes_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (prefixes_.size() != 1) throw UsageError("cache show: expected the first digits of one key");
    check_prefixes(prefixes_);
    const auto entries = list_entries(usable_directory_of(context), prefixes_.front());
    if (entries.empty()) {
      throw Error(ErrorCode::kIo,
                  fmt::format("show {}: no entry's key begins so; see cubinet cache "
                              "ls",
                              prefixes_.front()));
    }
    if (json_) {
      print(Json::object({{"entries", Json::array_of(entries, whole_json)}}).text());
      return kFine;
    }
    for (const EntryInfo& info : entries) {
      if (&info != &entries.front()) print("\n");
      print(entry_text(info));
    }
    return kFine;
  }

 private:
  std::vector<std::string> prefixes_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_show_verb() { return std::make_unique<CacheShowVerb>(); }

}  // namespace jit::inline v1
