// cubinet pack extract FILE [DIR]
#include <fmt/format.h>

#include <filesystem>

#include "base/lines.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/pack/pack_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/tuning_sources.hpp"

namespace jit::inline v1 {
namespace {

class PackExtractVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"pack extract", "Puts the kernels and tuning records of a pack into a cache directory",
            "  cubinet pack extract kernels.cupack             into the cache directory\n"
            "  cubinet pack extract kernels.cupack /srv/cache  into another one\n"
            "\n"
            "What is there already and sound stays as it is.\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "The pack; behind it a cache directory, if not the usual one", {}},
                  words_);
  }

  int run(Context& context) override {
    if (words_.empty() || words_.size() > 2 || words_.back().empty()) {
      throw UsageError("pack extract: name a pack, and at most one directory");
    }
    const auto pack = open_pack(context, {words_.front()});
    DirectoryOptions options;
    if (words_.size() == 2) {
      options.root = std::filesystem::absolute(words_[1]);
      options.trust_group = context.options().trust_group;
    } else {
      options = usable_directory_of(context).options();
    }
    if (options.read_only) {
      throw Error(ErrorCode::kIo, "pack extract: the cache is read-only; set CUBINET_MODE=auto");
    }
    const Directory directory(options, Logger::silent());
    std::size_t published = 0;
    std::size_t present = 0;
    std::size_t damaged = 0;
    for (const PackedEntry& packed : entries_of(*pack)) {
      std::string what;
      const auto entry = pack->read(packed, &what);
      if (!entry) {
        print_error(fmt::format("read {}: {}; passed over", packed.signature, what));
        ++damaged;
        continue;
      }
      // Others may be using it, and it knows how long it took to compile.
      if (directory.find(entry->key, entry->artifact.toolchain, ToolchainPolicy::kExact)) {
        ++present;
        continue;
      }
      const PublishResult result = directory.publish(*entry, Directory::Failure::kReturn);
      if (!result.ok) {
        throw Error(ErrorCode::kIo,
                    fmt::format("pack extract: {}; {} entries are there", result.what, published));
      }
      ++published;
    }
    const bool tuned = extract_tuning(*pack, directory);
    print(fmt::format("{} entries extracted to {}, {} were there, {} damaged\n", published,
                      directory.root().string(), present, damaged));
    return damaged == 0 && tuned ? kFine : kFailedWork;
  }

 private:
  // Returns: false, after a word, if the records are damaged.
  static bool extract_tuning(const Pack& pack, const Directory& directory) {
    std::string why;
    const auto tuning = pack.tuning(&why);
    if (!tuning) print_error(why);
    LineFile file(directory.root() / kTuningFile, kTuningForm);
    for_each_line(tuning.value_or(""), [&](std::string_view line, std::size_t) {
      const std::string problem = append_directory_record(directory, file, line);
      if (!problem.empty()) {
        throw Error(ErrorCode::kIo, fmt::format("pack extract: tuning records: {}", problem));
      }
    });
    return tuning.has_value();
  }

  std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Verb> make_pack_extract_verb() { return std::make_unique<PackExtractVerb>(); }

}  // namespace jit::inline v1
