#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/hex.hpp"
#include "jit/error.hpp"
#include "render/unit.hpp"
#include "signature/include_scan.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

const table::File* find_file(const table::Template& tmpl, std::string_view name) {
  const auto found = std::find_if(tmpl.files.begin(), tmpl.files.end(),
                                  [&](const table::File& file) { return file.name == name; });
  return found == tmpl.files.end() ? nullptr : &*found;
}

// Inliner replaces each #include of a file of the bundle with its text. #pragma once means nothing
// in an inlined text, so it becomes a macro and an #ifndef around the file.
class Inliner {
 public:
  explicit Inliner(const table::Template& tmpl) : tmpl_(tmpl) {}

  std::string run(std::string_view unit, std::string_view name) {
    write({name, unit, scan_source(unit, name), false, {}});
    return std::move(out_);
  }

 private:
  struct Source {
    std::string_view name;
    std::string_view text;
    SourceScan scan;
    bool conditional;  // included, directly or not, between an #if and its #endif
    std::string once;  // the macro that stands for #pragma once
  };
  struct Replacement {
    DirectivePlace place;
    const Include* include;  // nullptr for #pragma once
  };

  static std::vector<Replacement> replacements_in(const SourceScan& scan) {
    std::vector<Replacement> all;
    for (const Include& include : scan.includes) all.push_back({include.place, &include});
    for (const DirectivePlace& place : scan.pragma_once) all.push_back({place, nullptr});
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.place.begin < b.place.begin; });
    return all;
  }

  void write(const Source& source) {
    out_ += fmt::format("#line 1 \"{}\"\n", source.name);
    std::size_t at = 0;
    for (const auto& [place, include] : replacements_in(source.scan)) {
      const table::File* file = include == nullptr ? nullptr : find_file(tmpl_, include->name);
      if (include != nullptr && (file == nullptr || file->toolkit)) continue;
      out_ += source.text.substr(at, place.begin - at);
      at = place.end;
      // Comments may stand before and behind a directive.
      end_line();
      if (file != nullptr) write_file(*file, source.conditional || place.conditional);
      else out_ += fmt::format("#define {}\n", source.once);
      if (source.text.substr(at).starts_with('\n')) ++at;
      out_ += fmt::format("#line {} \"{}\"\n", line_at(source.text, at), source.name);
    }
    out_ += source.text.substr(at);
    end_line();
  }

  void write_file(const table::File& file, bool conditional) {
    if (finished_.contains(file.sha256)) return;
    std::string_view text = file.text;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    Source source{file.name, text, scan_source(text, file.name), conditional, {}};
    const bool once = !source.scan.pragma_once.empty();
    const bool open = std::find(open_.begin(), open_.end(), &file) != open_.end();
    if (open && (once || source.scan.has_include_guard)) return;
    if (open_.size() == kMaxDepth || out_.size() > kMaxBytes) refuse(file);
    open_.push_back(&file);
    if (once) {
      source.once = fmt::format("CUBINET_ONCE_{}", to_hex(std::span(file.sha256).first(8)));
      out_ += fmt::format("#ifndef {}\n", source.once);
    }
    write(source);
    if (once) out_ += "#endif\n";
    open_.pop_back();
    // Where the compiler is certain to have seen it, it need not be repeated.
    if (once && !conditional && !source.scan.pragma_once.front().conditional) {
      finished_.insert(file.sha256);
    }
  }

  [[noreturn]] void refuse(const table::File& file) const {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("render {}: inlining {} has no end or passes {} MiB; give the files "
                            "that it includes #pragma once",
                            tmpl_.name, file.name, kMaxBytes >> 20));
  }

  void end_line() {
    if (!out_.ends_with('\n')) out_ += '\n';
  }

  static std::ptrdiff_t line_at(std::string_view text, std::size_t at) {
    const std::string_view before = text.substr(0, at);
    return 1 + std::count(before.begin(), before.end(), '\n');
  }

  const table::Template& tmpl_;
  std::set<table::Digest> finished_;
  std::vector<const table::File*> open_;
  std::string out_;
};

}  // namespace

std::string render_standalone(const Signature& signature, Debug debug) {
  return fmt::format("// {}\n// compile with: nvcc {} -arch=<sm> -cubin\n", signature.text(),
                     fmt::join(canonical_options(*signature.tmpl, debug), " ")) +
         Inliner(*signature.tmpl).run(render_unit(signature), signature.symbol() + ".cu");
}

}  // namespace jit::inline v1
