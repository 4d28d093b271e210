#include "bench/restart.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string_view>

#include "base/file.hpp"
#include "bench/runtime_speed.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;

struct PipeCloser {
  void operator()(std::FILE* pipe) const noexcept { pclose(pipe); }
};

std::string quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

double elapsed_ns(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

double first_get(Runtime& runtime) {
  const auto start = Clock::now();
  runtime.get_kernel("merge_attn_states",
                     {{"HEAD_SIZE", 128},
                      {"INPUT_TYPE", bf16},
                      {"USE_FP8_OUTPUT", true},
                      {"HAS_OUTPUT_LSE", false},
                      {"PROGRAMMATIC_DEPENDENT_LAUNCH", false},
                      {"THREADS", 128}},
                     Sizes{{"num_tokens", 1}});
  return elapsed_ns(start);
}

double bare_load(Driver& driver, const std::string& cubin) {
  const CudaApi& api = driver.api();
  const auto start = Clock::now();
  CudaLibrary library = nullptr;
  driver.check(api.library_load(&library, cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
               "load a cubin", "cuLibraryLoadData");
  CudaKernel kernel = nullptr;
  const std::string symbol = cubin.substr(cubin.find("merge_attn_states__"), 31);
  driver.check(api.library_kernel(&kernel, library, symbol.c_str()), "load a cubin",
               "cuLibraryGetKernel");
  CudaFunction function = nullptr;
  driver.check(api.kernel_function(&function, kernel), "load a cubin", "cuKernelGetFunction");
  return elapsed_ns(start);
}

// Whether this process has mapped a file of that name; that libc is found shows that it looks.
bool maps_library(std::string_view name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

double restart(const std::filesystem::path& cache_dir, const std::string& role,
               const std::filesystem::path& cubin_file) {
  const std::string command =
      fmt::format("{} --cache-dir {} bench --restarted {} {}",
                  quote(std::filesystem::read_symlink("/proc/self/exe").string()),
                  quote(cache_dir.string()), role, quote(cubin_file.string()));
  const std::unique_ptr<std::FILE, PipeCloser> pipe(popen(command.c_str(), "r"));
  std::array<char, 256> line{};
  if (pipe == nullptr ||
      std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) == nullptr) {
    throw Error(ErrorCode::kInternal,
                fmt::format("measure a restart: {} printed nothing", command));
  }
  char* end = nullptr;
  const double ns = std::strtod(line.data(), &end);
  if (end == line.data()) {
    throw Error(ErrorCode::kInternal, fmt::format("measure a restart: {}", line.data()));
  }
  return ns;
}

int run_restarted(Runtime& runtime, const std::string& role,
                  const std::filesystem::path& cubin_file) {
  // The driver's start and its context are the process's own affair, not a kernel's.
  Driver& driver = runtime.impl().devices().driver();
  driver.ensure_context();
  const auto cubin = read_file(cubin_file);
  if (!cubin) return 1;
  const double ns = role == "get" ? first_get(runtime) : bare_load(driver, *cubin);
  if (role == "get" && (runtime.stats().compiles != 0 || runtime.stats().disk_hits != 1 ||
                        maps_library("libnvrtc") || !maps_library("libc.so"))) {
    fmt::print("the restarted process compiled, or mapped NVRTC\n");
    return 1;
  }
  fmt::print("{:.0f}\n", ns);
  return 0;
}

}  // namespace jit::inline v1
