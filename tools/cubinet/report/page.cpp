#include "cubinet/report/page.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "cubinet/output_file.hpp"
#include "cubinet/report/style.hpp"
#include "cubinet/text.hpp"
#include "jit/error.hpp"
#include "jit/version.hpp"

namespace jit::inline v1 {
namespace {

// Whatever a page were to contain, a browser loads and runs nothing of it.
constexpr std::string_view kPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

Html head_of(std::string_view title) {
  return element("meta", {{"charset", "utf-8"}}) +
         element("meta",
                 {{"http-equiv", "Content-Security-Policy"}, {"content", std::string(kPolicy)}}) +
         element("meta",
                 {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
         element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}) +
         element("meta",
                 {{"name", "generator"}, {"content", fmt::format("cubinet {}", kVersion)}}) +
         element("link", {{"rel", "icon"}, {"href", "data:,"}}) + element("title", title) +
         element("style", Html::trusted(kStyleSheet));
}

void fail_unless_fine(const std::string& file, int error) {
  if (error == 0) return;
  throw Error(ErrorCode::kIo, fmt::format("write page {}: {}; name a file that can be written",
                                          file, error_text(error)));
}

}  // namespace

std::string page_of(std::string_view title, const Html& content) {
  const Html page =
      element("html", {{"lang", "en"}},
              element("head", head_of(title)) + element("body", element("main", content)));
  return "<!doctype html>\n" + page.markup() + "\n";
}

void expect_page_can_be_written(const std::string& file) {
  if (file != "-") fail_unless_fine(file, writable_status(file));
}

void write_page(const std::string& file, std::string_view page) {
  if (file == "-") return print(page);
  fail_unless_fine(file, replace_file(file, page, 0644));
}

}  // namespace jit::inline v1
