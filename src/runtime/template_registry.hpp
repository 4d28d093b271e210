// TemplateRegistry: the templates that a Runtime knows, by name.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "runtime/fork_support.hpp"
#include "signature/table_arena.hpp"
#include "signature/template_directory.hpp"

namespace jit::inline v1 {

// Templates shipped with the library, and those that register_templates() made known so far.
std::vector<const table::Template*> embedded_templates();
// The headers of kernel_templates/common, which users' templates may include.
std::span<const table::File> shipped_headers();

struct RegistryOptions {
  std::vector<std::filesystem::path> template_path;  // searched in order, before embedded ones
  std::filesystem::path cuda_home;
};

// Threads: safe from any thread. Lifetime: templates live and stay as they are until the registry
// ends, so that signatures may refer to them.
class TemplateRegistry final : private ForkAware {
 public:
  explicit TemplateRegistry(RegistryOptions options);
  ~TemplateRegistry() override;

  // The template of that name: the one added last, else the first on the template path, else the
  // embedded one; read from disk once. Errors: kUnknownTemplate with the names there are;
  // kInvalidTemplate and kIo from reading it.
  const table::Template& find(std::string_view name);

  // Remembers that a signature of that template is in use: it can no longer be replaced.
  void mark_served(std::string_view name);

  // Reads all templates below `directory`; all or none become known. Errors: as Runtime says.
  void add(const std::filesystem::path& directory);

  // Every template, sorted by name.
  std::vector<const table::Template*> all();

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }
  const table::Template* find_on_path(const std::string& name);
  const table::Template& keep(table::Template tmpl);
  TemplateContext context() const;
  std::vector<std::string> names_locked();

  RegistryOptions options_;
  std::mutex mutex_;
  TableArena arena_;
  std::deque<table::Template> owned_;
  std::map<std::string, const table::Template*, std::less<>> by_name_;
  std::set<std::string, std::less<>> served_;
};

}  // namespace jit::inline v1
