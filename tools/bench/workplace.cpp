#include "bench/workplace.hpp"

#include <fmt/format.h>
#include <stdlib.h>  // NOLINT: mkdtemp

#include <cerrno>

#include "base/file.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {

Workplace::Workplace(std::string_view benchmark) {
  const std::string form = fmt::format("cubinet-{}-XXXXXX", benchmark);
  std::string name = (std::filesystem::temp_directory_path() / form).string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(ErrorCode::kIo, fmt::format("make {}: {}", name, error_text(errno)));
  }
  path_ = name;
}

Workplace::~Workplace() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace jit::inline v1
