#include "compile/reproduction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

struct OptionPair {
  std::string_view nvrtc;
  std::string_view nvcc;
};

// Options that the two compilers spell differently; an empty text means nvcc has no use for it.
constexpr OptionPair kTranslations[] = {
    {"--device-debug", "-G"},
    {"-G", "-G"},
    {"--generate-line-info", "-lineinfo"},
    {"-default-device", ""},
    {"--no-source-include", ""},
    {"--device-as-default-execution-space", ""},
};

std::string_view translate(std::string_view option) {
  for (const OptionPair& pair : kTranslations) {
    if (pair.nvrtc == option) return pair.nvcc;
  }
  return option;
}

std::string shell_word(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_=./,+:").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// The symbol names a file: only characters that name one everywhere, and no directory.
std::string file_name(std::string_view symbol, const Arch& arch) {
  std::string name(symbol.substr(0, 200));
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_'; }, '_');
  return fmt::format("{}-{}.cu", name.empty() ? "unit" : name, arch.text());
}

}  // namespace

std::string nvcc_command(const CompileRequest& request, const std::string& file) {
  std::string command = fmt::format("nvcc -cubin -arch={}", request.arch.text());
  for (const std::string& option : request.options) {
    const std::string_view translated = translate(option);
    if (!translated.empty()) command.append(" ").append(shell_word(translated));
  }
  return command.append(" -Xptxas -v -o /dev/null ").append(shell_word(file));
}

std::string keep_reproduction(const CompileRequest& request) noexcept {
  if (request.standalone.empty() || request.reproduction_dir.empty()) return {};
  try {
    if (make_private_directories(request.reproduction_dir) != 0) return {};
    const auto path = request.reproduction_dir / file_name(request.symbol, request.arch);
    std::string signature(request.signature);
    std::erase_if(signature, [](char c) { return c == '\n' || c == '\\'; });
    const std::string text =
        fmt::format("// {}\n// {}\n{}", signature, nvcc_command(request, path.filename().native()),
                    request.standalone);
    return replace_file(path, text) == 0 ? path.native() : std::string();
  } catch (...) {
    return {};
  }
}

}  // namespace jit::inline v1
