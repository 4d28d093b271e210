// What the tests of this layer share: a Runtime behind a C handle.
#pragma once

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "jit/c.h"
#include "runtime/runtime_fixture.hpp"
#include "support/paths.hpp"

namespace jit::testing {

// CScene is a fresh machine as a C program meets it.
class CScene : public Scene {
 public:
  explicit CScene(std::vector<FakeDevice> devices = {FakeDevice{}}) : Scene(std::move(devices)) {
    cache_ = (directory / "cache").string();
    templates_ = (directory / "templates").string();
    path_ = {templates_.c_str()};
    c_options.cache_dir = cache_.c_str();
    c_options.driver = kFakeCudaPath;
    c_options.template_path = path_.data();
    c_options.template_path_count = path_.size();
    c_options.log_level = CUBINET_LOG_OFF;
  }
  ~CScene() { cubinet_runtime_destroy(runtime_); }
  CScene(const CScene&) = delete;
  CScene& operator=(const CScene&) = delete;

  cubinet_runtime* runtime() {
    if (runtime_ == nullptr) {
      REQUIRE(cubinet_runtime_create(&c_options, &runtime_) == CUBINET_OK);
    }
    return runtime_;
  }
  const cubinet_kernel* kernel() {
    const cubinet_kernel* found = nullptr;
    CAPTURE(cubinet_last_error());
    REQUIRE(cubinet_get_kernel(runtime(), &request, &found) == CUBINET_OK);
    return found;
  }

  cubinet_runtime_options c_options = cubinet_runtime_options_init();
  std::array<cubinet_constant, 3> constants{cubinet_int("SIZE", 128),
                                            cubinet_type("ELEMENT_TYPE_OF_INPUT", CUBINET_I32),
                                            cubinet_bool("FLAG", true)};
  cubinet_request request = [this] {
    cubinet_request made = cubinet_request_init();
    made.name = "tiny";
    made.constants = constants.data();
    made.constant_count = constants.size();
    return made;
  }();

 private:
  std::string cache_;
  std::string templates_;
  std::array<const char*, 1> path_{};
  cubinet_runtime* runtime_ = nullptr;
};

// Whether the last error of this thread says `part`.
inline bool last_error_says(std::string_view part) {
  const std::string_view text = cubinet_last_error();
  UNSCOPED_INFO(text);
  return text.find(part) != std::string_view::npos;
}

}  // namespace jit::testing
