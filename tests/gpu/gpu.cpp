#include "gpu/gpu.hpp"

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/environment.hpp"

namespace jit::test {

Driver& driver() {
  // Never destroyed: buffers of static lifetime may refer to it.
  static Driver* const opened = [] {
    std::string why;
    auto found = Driver::open(get_env("CUBINET_DRIVER").value_or(""), &why);
    if (!found) throw Error(ErrorCode::kNoDriver, why);
    return found.release();
  }();
  opened->initialise();
  if (opened->devices().empty()) throw Error(ErrorCode::kNoDriver, "find a GPU: there is none");
  opened->ensure_context();
  return *opened;
}

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cubinet-gpu-XXXXXX").native();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error(ErrorCode::kIo, "make a folder " + pattern + ": mkdtemp failed");
  }
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

LogSink Lines::sink() {
  return [this](LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex_);
    text_.append(line).push_back('\n');
  };
}

std::string Lines::text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

RuntimeOptions options_for(const std::filesystem::path& cache_dir) {
  RuntimeOptions options;
  options.cache_dir = cache_dir;
  options.nvrtc = get_env("CUBINET_NVRTC").value_or("");
  options.driver = get_env("CUBINET_DRIVER").value_or("");
  options.cuda_home = get_env("CUDA_HOME").value_or("");
  return options;
}

RuntimeOptions options_for(const std::filesystem::path& cache_dir, Lines& lines) {
  RuntimeOptions options = options_for(cache_dir);
  options.log_level = LogLevel::kDebug;
  options.log_sink = lines.sink();
  return options;
}

std::uint64_t run_seed() { return Catch::getSeed(); }

std::vector<std::filesystem::path> entries_in(const std::filesystem::path& cache_dir) {
  std::vector<std::filesystem::path> found;
  for (const auto& item : std::filesystem::recursive_directory_iterator(cache_dir)) {
    const bool aside = item.path().parent_path().filename() == "quarantine";
    if (item.path().extension() == ".cubinet" && !aside) found.push_back(item.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void write_bytes(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  for (const std::byte byte : bytes) file.put(static_cast<char>(byte));
  file.close();
  if (!file) throw Error(ErrorCode::kIo, "write " + path.native());
}

bool is_mapped(std::string_view part) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace jit::test
