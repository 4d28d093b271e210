// cubinet cache rm KEYPREFIX... | --all
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "base/file.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

bool confirmed(std::size_t count, std::uint64_t bytes, const std::string& root) {
  flush_output();
  print_error_text(
      fmt::format("remove {} entries, {}, from {}? [y/N] ", count, format_bytes(bytes), root));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

class CacheRmVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "cache rm", "Removes entries",
        "  cubinet cache rm 3f2a91\n"
        "  cubinet cache rm --all --yes\n"
        "\n"
        "Asks first if stdin is a terminal. Kernels in use stay in use, and what is removed is\n"
        "built again when it is needed."};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"KEYPREFIX", "First digits of keys", {}}, prefixes_);
    arguments.add({"--all", "Every entry", {}}, all_);
    arguments.add({"-y,--yes", "Do not ask", {}}, yes_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (all_ == !prefixes_.empty()) {
      throw UsageError("cache rm: expected either first digits of keys or --all");
    }
    check_prefixes(prefixes_);
    const Directory& directory = usable_directory_of(context);
    if (directory.options().read_only) {
      throw Error(ErrorCode::kIo,
                  "cache rm: CUBINET_MODE forbids writing to the cache; set "
                  "CUBINET_MODE=auto");
    }
    drop_longer_prefixes();
    if (!yes_ && stdin_is_terminal() && !ask(directory)) return kFailedWork;
    RemoveResult total;
    bool unmatched = false;
    for (const std::string& prefix : prefixes_) {
      const RemoveResult result = remove_entries(directory, prefix);
      if (!all_ && result.removed + result.failed == 0) {
        print_error(fmt::format("cache rm {}: no entry's key begins so", prefix));
        unmatched = true;
      }
      total.removed += result.removed;
      total.removed_bytes += result.removed_bytes;
      total.failed += result.failed;
      if (result.error != 0) total.error = result.error;
    }
    report(total);
    return total.failed == 0 && !unmatched ? kFine : kFailedWork;
  }

 private:
  // With "3f" given, "3f2a" would find nothing left.
  void drop_longer_prefixes() {
    if (all_) prefixes_ = {""};
    std::sort(prefixes_.begin(), prefixes_.end());
    const auto end = std::unique(
        prefixes_.begin(), prefixes_.end(),
        [](const std::string& kept, const std::string& other) { return other.starts_with(kept); });
    prefixes_.erase(end, prefixes_.end());
  }

  bool ask(const Directory& directory) const {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    for (const std::string& prefix : prefixes_) {
      for (const EntryInfo& info : list_entries(directory, prefix)) {
        ++count;
        bytes += info.size_bytes;
      }
    }
    return count == 0 || confirmed(count, bytes, directory.root().string());
  }

  void report(const RemoveResult& total) const {
    if (json_) {
      print(Json::object({{"removed", total.removed},
                          {"removed_bytes", total.removed_bytes},
                          {"failed", total.failed}})
                .text());
    } else {
      print(fmt::format("{} entries removed, {}\n", total.removed,
                        format_bytes(total.removed_bytes)));
    }
    if (total.failed != 0) {
      print_error(fmt::format("cache rm: {} entries could not be removed: {}", total.failed,
                              error_text(total.error)));
    }
  }

  std::vector<std::string> prefixes_;
  bool all_ = false;
  bool yes_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_rm_verb() { return std::make_unique<CacheRmVerb>(); }

}  // namespace jit::inline v1
