// cubinet cache diff A B
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/explain/difference_text.hpp"
#include "cubinet/pack/pack_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

struct Named {
  std::string place;  // the file
  Entry entry;
  std::uint64_t cubin_bytes = 0;
};

// What is measured of an entry, rather than asked.
struct Fact {
  std::string_view name;
  std::string_view unit;
  double from = 0, to = 0;
  bool changed() const { return from != to; }
  std::string text() const {
    return changed() ? fmt::format("{} {:.6g} -> {:.6g}{}", name, from, to, unit)
                     : fmt::format("{} {:.6g}{}, the same", name, from, unit);
  }
};

std::vector<Fact> facts_of(const Named& a, const Named& b) {
  const ArtifactFacts& x = a.entry.artifact.facts;
  const ArtifactFacts& y = b.entry.artifact.facts;
  const auto tenths = [](double ms) { return std::round(ms * 10) / 10; };
  return {
      {"registers", " per thread", double(x.registers), double(y.registers)},
      {"shared memory", " bytes", double(x.smem_bytes), double(y.smem_bytes)},
      {"spill stores", " bytes", double(x.spill_store_bytes), double(y.spill_store_bytes)},
      {"spill loads", " bytes", double(x.spill_load_bytes), double(y.spill_load_bytes)},
      {"stack", " bytes", double(x.stack_bytes), double(y.stack_bytes)},
      {"serialized wgmma", "", double(x.serialized_wgmma), double(y.serialized_wgmma)},
      {"parameters", " bytes", double(x.params_bytes), double(y.params_bytes)},
      {"most threads", "", double(x.max_threads), double(y.max_threads)},
      {"cubin", " bytes", double(a.cubin_bytes), double(b.cubin_bytes)},
      {"compile time", " ms", tenths(x.compile_ms), tenths(y.compile_ms)},
  };
}

[[noreturn]] void refuse(const std::string& word, const std::string& reason) {
  throw Error(ErrorCode::kIo, fmt::format("diff {}: {}", word, reason));
}

Named read_entry(const std::string& path) {
  const std::optional<std::string> bytes = read_file(path);
  if (!bytes) refuse(path, "cannot be read; name an entry's file or the first digits of its key");
  Decoded decoded = decode(as_bytes(*bytes), nullptr);
  if (!decoded.entry) refuse(path, fmt::format("no entry: {}", name_of(decoded.damage)));
  const std::uint64_t cubin_bytes = decoded.entry->artifact.cubin.size();
  return {path, std::move(*decoded.entry), cubin_bytes};
}

// "3f2a91" or, where several compilers have made one key, "3f2a91@nvrtc-13.0".
struct KeyWord {
  std::string prefix;
  std::string maker;

  explicit KeyWord(const std::string& word) {
    const std::size_t at = std::min(word.find('@'), word.size());
    prefix = word.substr(0, at);
    maker = word.substr(std::min(at + 1, word.size()));
    check_prefixes({prefix});
  }
  bool is_by(const ToolchainId& toolchain) const { return toolchain.text().starts_with(maker); }
};

std::vector<Named> find_in_directory(Context& context, const std::string& word) {
  const KeyWord key(word);
  std::vector<Named> found;
  for (EntryInfo& info : list_entries(usable_directory_of(context), key.prefix)) {
    if (!info.summary || !key.is_by(info.summary->entry.artifact.toolchain)) continue;
    found.push_back(
        {info.path.string(), std::move(info.summary->entry), info.summary->cubin_bytes});
  }
  if (found.empty()) refuse(word, "no readable entry's key begins so; see cubinet cache ls");
  return found;
}

std::vector<Named> find_in_pack(Context& context, const std::string& file,
                                const std::string& word) {
  const KeyWord key(word);
  const auto pack = open_pack(context, {file});
  std::vector<Named> found;
  for (const PackedEntry& packed : entries_of(*pack)) {
    if (!packed.key.hex().starts_with(key.prefix) || !key.is_by(packed.toolchain)) continue;
    auto summary = pack->summary_of(packed);
    if (!summary) continue;
    found.push_back({fmt::format("{}:{}", file, packed.key.hex()), std::move(summary->entry),
                     summary->cubin_bytes});
  }
  if (found.empty()) {
    refuse(file + ":" + word, "no readable entry's key begins so; see cubinet pack ls");
  }
  return found;
}

// A file, "kernels.cupack:3f2a91", or a word for a key in the directory.
std::vector<Named> find_entries(Context& context, const std::string& word) {
  const std::string in_pack = std::string(kPackSuffix) + ":";
  if (const std::size_t at = word.rfind(in_pack); at != std::string::npos) {
    return find_in_pack(context, word.substr(0, at + kPackSuffix.size()),
                        word.substr(at + in_pack.size()));
  }
  if (word.find('/') != std::string::npos || word.ends_with(".cubinet")) return {read_entry(word)};
  return find_in_directory(context, word);
}

Named one_entry(Context& context, const std::string& word) {
  std::vector<Named> found = find_entries(context, word);
  if (found.size() == 1) return std::move(found.front());
  refuse(word, fmt::format("{} entries' keys begin so; give more digits, or KEY@nvrtc-13.0 where "
                           "several compilers have made one",
                           found.size()));
}

class CacheDiffVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache diff", "Prints in what two entries differ",
            "  cubinet cache diff 3f2a91 77c0de\n"
            "  cubinet cache diff 3f2a91@nvrtc-12.9 3f2a91@nvrtc-13.0\n"
            "  cubinet cache diff old/3f2a91.cubinet 3f2a91\n"
            "  cubinet cache diff old.cupack:3f2a91 new.cupack:77c0de\n"
            "\n"
            "An entry is named by its file, or by the first digits of its key, in the cache\n"
            "directory or behind a pack; one name is enough where just two entries go by it.\n"
            "Changes read from the first to the second."};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"ENTRY", "Two entries: files, or first digits of keys", {}}, words_);
    arguments.add({"--all", "Also what is measured and the same", {}}, all_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    context.only_look();
    if (words_.empty() || words_.size() > 2) throw UsageError("cache diff: expected two entries");
    std::vector<Named> pair;
    if (words_.size() == 1) pair = find_entries(context, words_.front());
    for (const std::string& word : words_) {
      if (words_.size() == 2) pair.push_back(one_entry(context, word));
    }
    if (pair.size() != 2) {
      throw UsageError(fmt::format("cache diff: expected two entries; {} go by {}", pair.size(),
                                   words_.front()));
    }
    print(json_ ? as_json(pair[0], pair[1]).text() : as_text(pair[0], pair[1]));
    return kFine;
  }

 private:
  std::string as_text(const Named& a, const Named& b) const {
    std::string text;
    for (const Named* named : {&a, &b}) {
      text +=
          fmt::format("{} {} {}\n     {}\n", named == &a ? "from" : "to  ",
                      named->entry.key.hex().substr(0, 12), named->entry.signature, named->place);
    }
    std::string lines;
    for (const Difference& difference : differences(a.entry, b.entry)) {
      lines += difference.text() + "\n";
    }
    for (const Fact& fact : facts_of(a, b)) {
      if (all_ || fact.changed()) lines += fact.text() + "\n";
    }
    return text + (lines.empty() ? "no difference\n" : lines);
  }

  static Json named_json(const Named& named) {
    return Json::object({{"key", named.entry.key.hex()},
                         {"path", named.place},
                         {"signature", named.entry.signature},
                         {"toolchain", named.entry.artifact.toolchain.text()}});
  }

  Json as_json(const Named& a, const Named& b) const {
    Json facts = Json::array();
    for (const Fact& fact : facts_of(a, b)) {
      if (!all_ && !fact.changed()) continue;
      facts.add(Json::object({{"name", fact.name}, {"from", fact.from}, {"to", fact.to}}));
    }
    return Json::object(
        {{"from", named_json(a)},
         {"to", named_json(b)},
         {"differences", Json::array_of(differences(a.entry, b.entry), difference_json)},
         {"measured", std::move(facts)}});
  }

  std::vector<std::string> words_;
  bool all_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_diff_verb() { return std::make_unique<CacheDiffVerb>(); }

}  // namespace jit::inline v1
