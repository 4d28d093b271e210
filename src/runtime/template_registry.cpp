#include "runtime/template_registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <set>

#include "jit/error.hpp"

namespace jit::inline v1 {

// Generated from kernel_templates/ at build time.
std::span<const table::Template> shipped_templates();

namespace {

// What was registered, the last first. Static objects of other libraries may register and look up
// at any time, and a fork may come amid that: nothing here is made late, locked or destroyed.
struct Registered {
  std::span<const table::Template> templates;
  const Registered* next = nullptr;
};
std::atomic<const Registered*> last_registered{nullptr};

}  // namespace

namespace table {

void register_templates(std::span<const Template> templates) {
  auto* const added = new Registered{templates, last_registered.load(std::memory_order_acquire)};
  while (!last_registered.compare_exchange_weak(added->next, added, std::memory_order_acq_rel,
                                                std::memory_order_acquire)) {
  }
}

}  // namespace table

std::vector<const table::Template*> embedded_templates() {
  // Those registered last come first: a program's own template hides a shipped one of its name.
  std::vector<const table::Template*> templates;
  for (const Registered* known = last_registered.load(std::memory_order_acquire); known != nullptr;
       known = known->next) {
    for (auto tmpl = known->templates.rbegin(); tmpl != known->templates.rend(); ++tmpl) {
      templates.push_back(&*tmpl);
    }
  }
  for (const table::Template& tmpl : shipped_templates()) templates.push_back(&tmpl);
  return templates;
}

TemplateRegistry::TemplateRegistry(RegistryOptions options) : options_(std::move(options)) {
  // A later chdir shall not choose other templates.
  for (std::filesystem::path& directory : options_.template_path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(directory, error);
    if (!error) directory = absolute;
  }
  join();
}

TemplateRegistry::~TemplateRegistry() { leave(); }

TemplateContext TemplateRegistry::context() const {
  return {shipped_headers(), {}, options_.cuda_home};
}

const table::Template& TemplateRegistry::keep(table::Template tmpl) {
  return owned_.emplace_back(tmpl);
}

const table::Template* TemplateRegistry::find_on_path(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.') return nullptr;
  for (const std::filesystem::path& directory : options_.template_path) {
    std::error_code error;
    if (std::filesystem::exists(directory / name / kManifestName, error)) {
      return &keep(read_template(directory / name, context(), arena_));
    }
  }
  return nullptr;
}

const table::Template& TemplateRegistry::find(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    return *known->second;
  }
  const std::string key(name);
  const table::Template* tmpl = find_on_path(key);
  for (const table::Template* embedded : embedded_templates()) {
    if (tmpl == nullptr && embedded->name == name) tmpl = embedded;
  }
  if (tmpl == nullptr) {
    throw Error(ErrorCode::kUnknownTemplate,
                fmt::format("get {}: no such template; there are {} (add others with "
                            "Runtime::add_templates or CUBINET_TEMPLATE_PATH)",
                            name, fmt::join(names_locked(), ", ")));
  }
  by_name_.emplace(key, tmpl);
  return *tmpl;
}

void TemplateRegistry::mark_served(std::string_view name) {
  const std::lock_guard lock(mutex_);
  served_.emplace(name);
}

void TemplateRegistry::add(const std::filesystem::path& directory) {
  const std::lock_guard lock(mutex_);
  std::vector<table::Template> read;
  for (const std::filesystem::path& folder : find_templates(directory)) {
    read.push_back(read_template(folder, context(), arena_));
    if (served_.contains(read.back().name)) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("add templates below {}: {} has been used already; add templates "
                              "before the first get_kernel",
                              directory.string(), read.back().name));
    }
  }
  if (read.empty()) {
    throw Error(ErrorCode::kIo, fmt::format("add templates below {}: no folder there holds a {}",
                                            directory.string(), kManifestName));
  }
  for (const table::Template& tmpl : read) by_name_[std::string(tmpl.name)] = &keep(tmpl);
}

std::vector<std::string> TemplateRegistry::names_locked() {
  std::set<std::string> names;
  for (const auto& [name, tmpl] : by_name_) names.insert(name);
  for (const table::Template* tmpl : embedded_templates()) names.emplace(tmpl->name);
  for (const std::filesystem::path& directory : options_.template_path) {
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) continue;
    for (const std::filesystem::path& folder : find_templates(directory)) {
      names.insert(folder.filename().string());
    }
  }
  return {names.begin(), names.end()};
}

std::vector<const table::Template*> TemplateRegistry::all() {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    names = names_locked();
  }
  std::vector<const table::Template*> templates;
  for (const std::string& name : names) templates.push_back(&find(name));
  return templates;
}

}  // namespace jit::inline v1
