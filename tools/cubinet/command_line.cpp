// The only file that knows the parser.
#include "cubinet/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "jit/error.hpp"
#include "jit/version.hpp"

namespace jit::inline v1 {
namespace {

constexpr const char* kSummary =
    "Renders, precompiles and inspects CUDA kernels made from templates";
constexpr const char* kExamples =
    "Examples:\n"
    "  cubinet templates                                 what there is\n"
    "  cubinet precompile --all-presets --arch sm_90a    compile ahead; needs no GPU\n"
    "  cubinet cache ls                                  what is compiled\n"
    "  cubinet doctor                                    what was found, what is wrong\n"
    "\n"
    "Exit codes: 0 fine, 1 failed work, 2 wrong usage. CUBINET_* variables: see README.md.";

// What the verbs of a group have in common.
struct Group {
  std::string_view name;
  const char* summary;
  const char* examples;
};
constexpr Group kGroups[] = {{"record", "Merges and shows recordings of what engines ask for",
                              "Examples:\n"
                              "  cubinet record merge all.jsonl node0.jsonl node1.jsonl\n"
                              "  cubinet record show all.jsonl"},
                             {"tuning", "Lists and merges tuning records",
                              "Examples:\n"
                              "  cubinet tuning show\n"
                              "  cubinet tuning merge --output h200.jsonl node*.jsonl"},
                             {"pack", "Makes, inspects and unpacks files of compiled kernels",
                              "Examples:\n"
                              "  cubinet pack create kernels.cupack --from recording.jsonl\n"
                              "  cubinet pack ls kernels.cupack\n"
                              "  cubinet pack verify kernels.cupack\n"
                              "  cubinet pack extract kernels.cupack"},
                             {"cache", "Inspects and cleans the directory of compiled kernels",
                              "Examples:\n"
                              "  cubinet cache ls\n"
                              "  cubinet cache stats\n"
                              "  cubinet cache verify\n"
                              "  cubinet cache gc --max-size 1GiB\n"
                              "  cubinet cache rm --all"}};

class ParserArguments final : public Arguments {
 public:
  explicit ParserArguments(CLI::App& app) : app_(app) {}

  void add(const OptionText& text, bool& value) override {
    app_.add_flag(text.names, value, text.doc);
  }
  void add(const OptionText& text, int& value) override {
    describe(text, app_.add_option(text.names, value, text.doc));
  }
  void add(const OptionText& text, std::string& value) override {
    describe(text, app_.add_option(text.names, value, text.doc));
  }
  void add(const OptionText& text, std::vector<std::string>& value) override {
    CLI::Option* option = describe(text, app_.add_option(text.names, value, text.doc));
    // So that "--set A=1 NAME" leaves NAME to the positional arguments.
    if (text.names.starts_with('-')) option->allow_extra_args(false);
  }

 private:
  static CLI::Option* describe(const OptionText& text, CLI::Option* option) {
    option->type_name(text.placeholder);
    return option;
  }

  CLI::App& app_;
};

struct Entry {
  CLI::App* app = nullptr;
  std::unique_ptr<Verb> verb;
};

std::vector<std::unique_ptr<Verb>> make_verbs() {
  std::vector<std::unique_ptr<Verb>> verbs;
#define JIT_MAKE_VERB(name) verbs.push_back(make_##name##_verb());
  JIT_VERBS(JIT_MAKE_VERB)
#undef JIT_MAKE_VERB
  return verbs;
}

class CommandLine {
 public:
  CommandLine() : app_(kSummary, "cubinet") {
    app_.set_version_flag("--version", fmt::format("cubinet {}", kVersion));
    app_.add_option("--cache-dir", globals_.cache_dir,
                    "Directory of compiled kernels (else CUBINET_CACHE_DIR)")
        ->type_name("DIR");
    app_.add_option("--template-path", globals_.template_path,
                    "Folders of templates, ':' between them (else CUBINET_TEMPLATE_PATH)")
        ->type_name("DIRS");
    app_.add_flag("--verbose", globals_.verbose, "Print compiler logs of failures");
    app_.footer(kExamples);
    app_.require_subcommand(0, 1);
    for (auto& verb : make_verbs()) add(std::move(verb));
  }

  // Errors: CLI::ParseError, with Success for --help and --version.
  int run(int argc, char** argv) {
    app_.parse(argc, argv);
    for (const Entry& entry : entries_) {
      if (!entry.app->parsed()) continue;
      Context context(globals_);
      return entry.verb->run(context);
    }
    print_error_text(app_.help());  // that of the group, if one was named
    return kUsage;
  }

  int finish(const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_.exit(error);
    std::string message = error.what();
    for (char& c : message) {
      if (c == '\n') c = ' ';
    }
    if (!message.empty() && message.size() > 1 && std::islower(message[1]) != 0) {
      message[0] = static_cast<char>(std::tolower(message[0]));
    }
    print_error(fmt::format("{}; see {} --help", message, words()));
    return kUsage;
  }

  bool verbose() const noexcept { return globals_.verbose; }
  // The verb as far as it was understood: "cubinet cache".
  std::string words() const {
    std::string words = "cubinet";
    for (const CLI::App* app = &app_; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      words += " " + app->get_name();
    }
    return words;
  }

 private:
  void add(std::unique_ptr<Verb> verb) {
    const VerbInfo info = verb->info();
    const std::size_t space = info.words.find(' ');
    CLI::App* parent = &app_;
    if (space != std::string::npos) parent = group(info.words.substr(0, space));
    CLI::App* app = parent->add_subcommand(info.words.substr(space + 1), info.summary);
    app->fallthrough();
    app->footer((info.examples.empty() ? "" : "Examples:\n" + info.examples + "\n") +
                "\nAlso: --cache-dir DIR, --template-path DIRS, --verbose (see cubinet --help)");
    if (info.hidden) app->group("");
    ParserArguments arguments(*app);
    verb->declare(arguments);
    entries_.push_back({app, std::move(verb)});
  }

  CLI::App* group(const std::string& name) {
    const auto named = [&](const CLI::App* app) { return app->get_name() == name; };
    if (const auto known = app_.get_subcommands(named); !known.empty()) return known.front();
    const Group* texts = std::find_if(std::begin(kGroups), std::end(kGroups),
                                      [&](const Group& group) { return group.name == name; });
    CLI::App* made = app_.add_subcommand(name, texts->summary);
    made->footer(texts->examples);
    made->fallthrough();
    made->require_subcommand(0, 1);
    return made;
  }

  CLI::App app_;
  GlobalOptions globals_;
  std::vector<Entry> entries_;
};

// What a user typed wrong, rather than what went wrong.
int exit_code_of(ErrorCode code) {
  const bool usage = code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnknownTemplate;
  return usage ? kUsage : kFailedWork;
}

int run_and_explain(CommandLine& command, int argc, char** argv) {
  try {
    return command.run(argc, argv);
  } catch (const CLI::ParseError& error) {
    return command.finish(error);
  } catch (const UsageError& error) {
    print_error(fmt::format("{}; see {} --help", error.what(), command.words()));
    return kUsage;
  } catch (const Error& error) {
    print_failure(error.what(), error.log(), command.verbose());
    return exit_code_of(error.code());
  } catch (const std::exception& error) {
    print_error(error.what());
    return kFailedWork;
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CommandLine command;
  const int code = run_and_explain(command, argc, argv);
  if (!flush_output() && code == kFine) return kFailedWork;
  return code;
}

}  // namespace jit::inline v1
