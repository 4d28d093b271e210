#include "cache/cache_fixture.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/layout.hpp"

namespace fs = std::filesystem;

namespace jit::test {

Folder::Folder(On on) {
  fs::path parent = fs::temp_directory_path();
  if (on == On::kMemory && ::access("/dev/shm", W_OK | X_OK) == 0) parent = "/dev/shm";
  std::string pattern = (parent / "cubinet-cache-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Logger Lines::logger(LogLevel threshold) {
  return Logger(
      [this](LogLevel, std::string_view line) {
        const std::lock_guard<std::mutex> guard(mutex_);
        lines_.emplace_back(line);
      },
      threshold);
}

std::vector<std::string> Lines::take() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(lines_, {});
}

ToolchainId toolchain(std::uint16_t major, std::uint16_t minor, std::uint8_t build) {
  ToolchainId id;
  id.release = {major, minor};
  id.build.fill(build);
  return id;
}

UnitKey key_of(std::uint32_t number) {
  UnitKey key;
  key.bytes = sha256("unit " + std::to_string(number));
  return key;
}

Entry make_entry(std::uint32_t number, std::size_t cubin_bytes, const ToolchainId& made_by) {
  Entry entry;
  entry.key = key_of(number);
  entry.artifact.arch = {9, 0, 'a'};
  entry.artifact.toolchain = made_by;
  entry.artifact.compiler_version =
      std::to_string(made_by.release.major) + "." + std::to_string(made_by.release.minor) + ".88";
  entry.artifact.symbol = "kernel__" + std::to_string(number);
  entry.artifact.facts = {32, 1024, 8, 4, 16, 1, 80, 256, 45.5};
  entry.signature = "kernel[N=" + std::to_string(number) + "]@sm_90a";
  entry.name = "kernel";
  entry.producer = "cubinet test";
  entry.epoch = number;
  entry.unit_sha256 = sha256("text of " + std::to_string(number));
  entry.bundle_sha256 = sha256("bundle");
  entry.options = {"--std=c++17", "-DN=1"};
  entry.bundle_files = {{"kernel.cuh", sha256("a")}, {"params.hpp", sha256("b")}};
  std::uint32_t state = number * 2654435761U + 1;
  entry.artifact.cubin.resize(cubin_bytes);
  for (std::byte& byte : entry.artifact.cubin) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return entry;
}

bool same(const Entry& a, const Entry& b) {
  const Artifact& x = a.artifact;
  const Artifact& y = b.artifact;
  return a.key == b.key && x.kind == y.kind && x.arch == y.arch && x.toolchain == y.toolchain &&
         x.compiler_version == y.compiler_version && x.symbol == y.symbol && x.facts == y.facts &&
         x.cubin == y.cubin && a.signature == b.signature && a.name == b.name &&
         a.producer == b.producer && a.epoch == b.epoch && a.key_format == b.key_format &&
         a.unit_sha256 == b.unit_sha256 && a.bundle_sha256 == b.bundle_sha256 &&
         a.options == b.options && a.bundle_files == b.bundle_files;
}

fs::path path_of(const fs::path& root, const Entry& entry) {
  return root / kFormatDirectory / to_hex(std::span(entry.key.bytes).first<1>()) /
         entry_name(entry.key, entry.artifact.toolchain);
}

std::vector<std::byte> slurp(const fs::path& path) {
  const std::optional<std::string> text = read_file(path);
  if (!text) throw std::runtime_error("read " + path.string());
  const auto bytes = as_bytes(*text);
  return {bytes.begin(), bytes.end()};
}

void spill(const fs::path& path, const std::vector<std::byte>& bytes) {
  const int error = replace_file(path, as_text(bytes));
  if (error != 0) throw std::runtime_error("write " + path.string() + ": " + error_text(error));
}

std::size_t files_in(const fs::path& directory) {
  std::error_code absent;
  const fs::directory_iterator begin(directory, absent);
  if (absent) return 0;
  return static_cast<std::size_t>(std::distance(begin, fs::directory_iterator()));
}

std::size_t open_descriptors() { return files_in("/proc/self/fd"); }

pid_t start(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child > 0) return child;
  bool good = false;
  try {
    good = body();
  } catch (const std::exception& error) {
    static_cast<void>(write_fully(STDERR_FILENO, as_bytes(error.what())));
  }
  ::_exit(good ? 0 : 1);
}

bool succeeded(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void kill_and_reap(pid_t child) {
  ::kill(child, SIGKILL);
  static_cast<void>(succeeded(child));
}

bool as_ordinary_user(const std::function<bool()>& body, uid_t uid) {
  return succeeded(start([&] {
    if (::geteuid() == 0) {
      if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) return true;
    }
    return body();
  }));
}

}  // namespace jit::test
