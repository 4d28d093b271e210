#include "compile/nvrtc_version.hpp"

#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <span>
#include <system_error>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::string_view kWords = "Cuda compilation tools, release ";

// "13.0.88" at the beginning of `text`; empty unless it has three numbers.
std::string version_at(std::string_view text) {
  const std::size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view version = text.substr(0, size);
  const bool three = std::count(version.begin(), version.end(), '.') == 2;
  return three && version.front() != '.' && version.back() != '.' ? std::string(version)
                                                                  : std::string();
}

// The words may be cut in two where two pieces of a file meet.
constexpr std::size_t kOverlap = 128;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

std::string version_in_file(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  const auto buffer = std::make_unique_for_overwrite<char[]>(kOverlap + kPieceBytes);
  std::size_t kept = 0;
  for (;;) {
    char* const piece = buffer.get() + kept;
    const ssize_t count =
        read_fully(fd.get(), std::as_writable_bytes(std::span(piece, kPieceBytes)));
    if (count <= 0) return {};
    const std::string_view text(buffer.get(), kept + static_cast<std::size_t>(count));
    if (std::string version = version_in(text); !version.empty()) return version;
    kept = std::min(kOverlap, text.size());
    std::copy_n(text.data() + text.size() - kept, kept, buffer.get());
  }
}

}  // namespace

std::string version_in(std::string_view text) {
  for (std::size_t at = 0; (at = text.find(kWords, at)) != std::string_view::npos;) {
    at += kWords.size();
    const std::string_view line = text.substr(at, kOverlap - kWords.size());
    const std::size_t mark = line.find(", V");
    if (mark == std::string_view::npos) continue;
    if (std::string version = version_at(line.substr(mark + 3)); !version.empty()) return version;
  }
  return {};
}

std::string version_of(const Nvrtc& nvrtc, NvrtcProgram program) {
  std::size_t size = 0;
  if (nvrtc.ptx_size(program, &size) != kNvrtcSuccess || size == 0) return {};
  std::string ptx(size, '\0');
  if (nvrtc.ptx(program, ptx.data()) != kNvrtcSuccess) return {};
  return version_in(std::string_view(ptx).substr(0, 1024));
}

std::string version_by_name(const ToolchainLocation& location) {
  constexpr std::string_view kPrefix = "libnvrtc.so.";
  std::error_code error;
  const std::string real = std::filesystem::canonical(location.nvrtc, error).filename();
  if (!error && real.starts_with(kPrefix)) {
    std::string version = version_at(std::string_view(real).substr(kPrefix.size()));
    if (!version.empty()) return version;
  }
  const auto wheel = find_wheel(location);
  return wheel ? wheel->version : std::string();
}

std::string find_version(const ToolchainLocation& location) {
  std::string version = version_by_name(location);
  return version.empty() ? version_in_file(location.nvrtc) : version;
}

}  // namespace jit::inline v1
