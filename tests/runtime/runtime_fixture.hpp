// What the tests of this layer share: a Runtime's options over a directory, a template and a driver
// of the test's own.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/environment.hpp"
#include "cache/layout.hpp"
#include "jit/jit.hpp"
#include "load/driver.hpp"
#include "support/fake_driver.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"

namespace jit::testing {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// LogLines keeps what a Runtime says. Threads: any.
class LogLines {
 public:
  LogSink sink() {
    return [this](LogLevel level, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(level, line);
    };
  }
  std::vector<std::string> at(LogLevel level) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const auto& [known, line] : lines_) {
      if (known == level) found.push_back(line);
    }
    return found;
  }
  std::vector<std::string> warnings() const { return at(LogLevel::kWarning); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<LogLevel, std::string>> lines_;
};

// Scene is a fresh machine: fake driver, empty cache, the tiny template.
class Scene {
 public:
  explicit Scene(std::vector<FakeDevice> devices = {FakeDevice{}})
      : fake(FakeCuda::of(kFakeCudaPath)) {
    fake.reset(std::move(devices));
    options.cache_dir = directory / "cache";
    options.driver = kFakeCudaPath;
    options.nvrtc = get_env("CUBINET_NVRTC").value_or("");
    options.template_path = {write_tiny(directory)};
    options.log_sink = log.sink();
    options.log_level = LogLevel::kInfo;
  }

  // Makes the primary context of a device current on this thread. Threads: the Scene's own alone.
  void use(int device) {
    if (!driver_) driver_ = Driver::open(kFakeCudaPath, nullptr);
    REQUIRE(driver_);
    driver_->initialise();
    driver_->check(driver_->api().context_set(driver_->primary_context(device)), "use", "set");
  }
  // The entries that are in the cache now.
  std::vector<std::filesystem::path> entries() const {
    std::vector<std::filesystem::path> found;
    std::error_code error;
    for (const auto& file : std::filesystem::recursive_directory_iterator(
             directory / "cache" / kFormatDirectory, error)) {
      const bool aside = file.path().string().find("/quarantine/") != std::string::npos;
      if (file.path().extension() == ".cubinet" && !aside) found.push_back(file.path());
    }
    return found;
  }
  std::size_t quarantined() const {
    std::error_code error;
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(
             directory / "cache" / kFormatDirectory / "quarantine", error)) {
      ++count;
    }
    return count;
  }

  TemporaryDirectory directory;
  LogLines log;
  FakeCuda& fake;
  RuntimeOptions options;

 private:
  std::unique_ptr<Driver> driver_;
};

inline std::vector<Constant> tiny_constants(int size = 128) {
  return {{"SIZE", size}, {"ELEMENT_TYPE_OF_INPUT", i32}, {"FLAG", true}};
}

// The error that `call` throws. Fails the test if it throws none.
template <class Call>
Error error_of(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  throw std::logic_error("unreachable");
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace jit::testing
