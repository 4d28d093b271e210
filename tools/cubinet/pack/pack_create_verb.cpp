// cubinet pack create FILE
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "cache/pack_writer.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/pack/pack_access.hpp"
#include "cubinet/pack/pack_tuning.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/add_command.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

using ByKey = std::map<UnitKey, std::vector<EntryInfo>>;

class PackCreateVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "pack create", "Makes one file of compiled kernels",
        "  cubinet pack create kernels.cupack                  all that is in the cache\n"
        "  cubinet pack create kernels.cupack merge_attn_states --arch sm_90a\n"
        "  cubinet pack create kernels.cupack --from recording.jsonl --arch sm_90a\n"
        "\n"
        "Nothing is compiled: what a recording asks for and the cache does not have, or no "
        "template\n"
        "knows, is listed, and no pack is made. Of a kernel that several compilers made, the one "
        "at hand counts,\n"
        "else the newest. The same kernels make the same bytes, whoever packs them, and where.\n"
        "Tuning records that choose one of the kernels go with them (cubinet tuning show).\n"
        "A pack of this name is replaced in one step; processes that read it go on with the\n"
        "old one. Use it with CUBINET_PACKS=kernels.cupack.\n"};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "The pack; behind it templates, if not all", {}}, words_);
    arguments.add({"--from", "Pack what this recording asks for", "FILE"}, plan_.recordings);
    arguments.add({"--arch", "Architectures, such as sm_90a,sm_100a", "LIST"}, archs_);
    arguments.add({"--all-toolchains", "Pack what every compiler made", {}}, all_toolchains_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (words_.empty() || words_.front().empty()) {
      throw UsageError("pack create: name the file, such as kernels.cupack");
    }
    names_ = {words_.begin() + 1, words_.end()};
    plan_.archs = parse_archs(archs_);
    const Directory& directory = usable_directory_of(context);
    ByKey there;
    for (EntryInfo& info : list_entries(directory)) {
      if (info.summary) there[info.summary->entry.key].push_back(std::move(info));
    }
    std::vector<EntryInfo> chosen;
    const bool complete =
        plan_.recordings.empty() ? choose_all(there, chosen) : choose(context, there, chosen);
    if (!complete) return kFailedWork;
    require_something(chosen, directory);
    if (!all_toolchains_) keep_one_toolchain(context, chosen);
    const std::string tuning = tuning_to_pack(context, chosen);
    const std::string why = write_pack(words_.front(), directory, chosen, tuning);
    if (!why.empty()) throw Error(ErrorCode::kIo, why);
    report(count_lines(tuning));
    return kFine;
  }

 private:
  // Of each template that was named, and of all.
  void require_something(const std::vector<EntryInfo>& chosen, const Directory& directory) const {
    const auto fail = [&](const std::string& what) {
      throw Error(ErrorCode::kIo,
                  fmt::format("pack create: nothing{} to pack in {}; run cubinet precompile first",
                              what, directory.root().string()));
    };
    for (const std::string& name : names_) {
      const auto is_of = [&](const EntryInfo& info) { return info.summary->entry.name == name; };
      if (std::none_of(chosen.begin(), chosen.end(), is_of)) fail(" of " + name);
    }
    if (chosen.empty()) fail("");
  }

  bool is_named(std::string_view name) const {
    return names_.empty() || std::find(names_.begin(), names_.end(), name) != names_.end();
  }

  bool choose_all(const ByKey& there, std::vector<EntryInfo>& chosen) const {
    for (const auto& [key, infos] : there) {
      for (const EntryInfo& info : infos) {
        const Entry& entry = info.summary->entry;
        const bool wanted =
            plan_.archs.empty() || std::find(plan_.archs.begin(), plan_.archs.end(),
                                             entry.artifact.arch) != plan_.archs.end();
        if (wanted && is_named(entry.name)) chosen.push_back(info);
      }
    }
    return true;
  }

  // Returns: false, with words for each, if something that was asked for is not there.
  bool choose(Context& context, const ByKey& there, std::vector<EntryInfo>& chosen) const {
    const Plan plan = make_plan(context, plan_);
    RuntimeOptions options = context.options();
    options.packs.clear();  // the one that is made is made of the directory
    for (const std::string& line : plan.lost) print_error(line);
    std::size_t missing = 0;
    for (const KernelJob& job : plan.jobs) {
      if (!is_named(job.signature.tmpl->name)) continue;
      const Unit unit = make_unit(job.signature, job.arch, job.debug);
      const auto found = there.find(unit.key);
      if (found != there.end()) {
        chosen.insert(chosen.end(), found->second.begin(), found->second.end());
      } else {
        print_error(fmt::format("pack {}: not in the cache; add it with: {}", unit.name(),
                                add_command(unit, options)));
        ++missing;
      }
    }
    if (missing != 0) {
      print_error(
          fmt::format("pack create: {} of {} kernels are not in the cache; compile them "
                      "with: {}",
                      missing, plan.jobs.size(), command(context)));
    }
    if (!plan.lost.empty()) {
      print_error(
          fmt::format("pack create: {} of what was recorded cannot be resolved, and no pack is "
                      "made; take these lines out (cubinet record merge takes torn ones out)",
                      plan.lost.size()));
    }
    return missing == 0 && plan.lost.empty();
  }

  std::string command(const Context& context) const {
    std::string command = "CUBINET_MODE=auto cubinet precompile";
    for (const std::string& file : plan_.recordings) command += " --from " + shell_word(file);
    std::string archs;
    for (const Arch arch : plan_.archs) archs += (archs.empty() ? "" : ",") + arch.text();
    if (!archs.empty()) command += " --arch " + archs;
    for (const std::string& word : context.global_arguments()) command += " " + shell_word(word);
    return command;
  }

  static void keep_one_toolchain(Context& context, std::vector<EntryInfo>& chosen) {
    const auto location = context.impl().source().toolchain(std::nullopt);
    const auto rank = [&](const EntryInfo& info) {
      const ToolchainId& made_by = info.summary->entry.artifact.toolchain;
      return std::tuple(location && location->id == made_by, made_by);
    };
    std::map<UnitKey, const EntryInfo*> best;
    for (const EntryInfo& info : chosen) {
      const EntryInfo*& one = best[info.summary->entry.key];
      if (one == nullptr || rank(info) > rank(*one)) one = &info;
    }
    std::vector<EntryInfo> kept;
    for (const auto& [key, info] : best) kept.push_back(*info);
    chosen = std::move(kept);
  }

  void report(std::size_t tuning_records) const {
    const PackState state = Pack({words_.front(), true}, Logger::silent()).state();
    if (json_) {
      print(Json::object({{"path", words_.front()},
                          {"entries", state.entries},
                          {"tuning_records", tuning_records},
                          {"bytes", state.bytes}})
                .text());
      return;
    }
    print(fmt::format("{} entries, {} tuning records, {} in {}\n", state.entries, tuning_records,
                      format_bytes(state.bytes), words_.front()));
  }

  std::vector<std::string> words_;
  std::vector<std::string> names_;
  std::vector<std::string> archs_;
  PlanRequest plan_;
  bool all_toolchains_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_pack_create_verb() { return std::make_unique<PackCreateVerb>(); }

}  // namespace jit::inline v1
