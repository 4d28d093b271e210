#include "cubinet/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "cubinet/verb.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> split_template_path(const std::string& text) {
  std::vector<fs::path> paths;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (end > begin) paths.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const fs::path& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      throw UsageError(fmt::format("--template-path {}: no such directory", path.string()));
    }
  }
  return paths;
}

}  // namespace

Context::Context(GlobalOptions globals) : globals_(std::move(globals)) {}
Context::~Context() = default;

RuntimeOptions Context::options() const { return options_over(RuntimeOptions::from_environment()); }

RuntimeOptions Context::options_over(RuntimeOptions base) const {
  if (globals_.cache_dir == "none") {
    base.memory_only = true;
  } else if (!globals_.cache_dir.empty()) {
    base.memory_only = false;
    base.cache_dir = fs::absolute(globals_.cache_dir);
  }
  if (!globals_.template_path.empty()) {
    base.template_path = split_template_path(globals_.template_path);
  }
  return base;
}

Mode Context::only_look() {
  only_look_ = true;
  return options().mode;
}

Runtime& Context::runtime() {
  if (runtime_) return *runtime_;
  RuntimeOptions options = this->options();
  if (only_look_) {
    if (options.mode == Mode::kAuto) options.mode = Mode::kReadOnly;
    options.record_file.clear();
    options.trace_file.clear();
    options.log_level = std::max(options.log_level, LogLevel::kError);
  }
  runtime_ = std::make_unique<Runtime>(std::move(options));
  if (only_look_) impl().tuning().speak_for(this->options().mode);
  return *runtime_;
}

Runtime::Impl& Context::impl() { return runtime().impl(); }

std::vector<std::string> Context::global_arguments() const {
  std::vector<std::string> arguments;
  if (!globals_.cache_dir.empty()) {
    arguments.insert(arguments.end(), {"--cache-dir", globals_.cache_dir});
  }
  if (!globals_.template_path.empty()) {
    arguments.insert(arguments.end(), {"--template-path", globals_.template_path});
  }
  return arguments;
}

}  // namespace jit::inline v1
