#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "render/unit.hpp"
#include "signature/include_scan.hpp"

namespace jit::inline v1 {
namespace {

const table::File* find_file(const table::Template& tmpl, std::string_view name) {
  const auto found = std::find_if(tmpl.files.begin(), tmpl.files.end(),
                                  [&](const table::File& file) { return file.name == name; });
  return found == tmpl.files.end() ? nullptr : &*found;
}

// Inliner writes each file of a bundle once, at its first #include.
class Inliner {
 public:
  explicit Inliner(const table::Template& tmpl) : tmpl_(tmpl) {}

  void write(std::string_view text, std::string_view name) {
    std::vector<Include> includes = scan_includes(text, name);
    auto next = includes.begin();
    out_ += fmt::format("#line 1 \"{}\"\n", name);
    int line = 0;
    while (!text.empty()) {
      const std::string_view current = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), current.size() + 1));
      ++line;
      if (next != includes.end() && next->line == line) {
        write_include(*next++, current, fmt::format("#line {} \"{}\"\n", line + 1, name));
      } else if (current.find("#pragma once") == std::string_view::npos) {
        (out_ += current) += '\n';
      } else {
        out_ += '\n';
      }
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void write_include(const Include& include, std::string_view line, const std::string& resume) {
    const table::File* file = find_file(tmpl_, include.name);
    if (file == nullptr || file->toolkit) {
      (out_ += line) += '\n';
      return;
    }
    if (written_.insert(file->sha256).second) write(file->text, file->name);
    out_ += resume;
  }

  const table::Template& tmpl_;
  std::set<table::Digest> written_;
  std::string out_;
};

}  // namespace

std::string render_standalone(const Signature& signature) {
  Inliner inliner(*signature.tmpl);
  inliner.write(render_unit(signature), signature.symbol() + ".cu");
  return fmt::format("// {}\n// compile with: nvcc -std=c++17 -arch=<sm> -cubin\n",
                     signature.text()) +
         inliner.take();
}

}  // namespace jit::inline v1
