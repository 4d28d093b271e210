// Lists of kernels ahead, as a C program asks for them.
#include <thread>
#include <vector>

#include "c_abi/c_abi_fixture.hpp"

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;

// Three requests of a scene's template, of different sizes.
struct Three {
  explicit Three(const CScene& scene) {
    for (std::size_t i = 0; i < 3; ++i) {
      constants[i] = scene.constants;
      constants[i][0] = cubinet_int("SIZE", static_cast<std::int64_t>(8 * (i + 1)));
      requests[i] = scene.request;
      requests[i].constants = constants[i].data();
      pointers[i] = &requests[i];
    }
  }
  std::array<std::array<cubinet_constant, 3>, 3> constants;
  std::array<cubinet_request, 3> requests;
  std::array<const cubinet_request*, 3> pointers;
};

cubinet_warm_up_report report_of(cubinet_warm_up* warm_up) {
  cubinet_warm_up_report report = cubinet_warm_up_report_init();
  REQUIRE(cubinet_warm_up_describe(warm_up, &report) == CUBINET_OK);
  return report;
}

int32_t count_progress(void* user, uint64_t done, uint64_t total, const char* kernel,
                       cubinet_outcome outcome) {
  auto& lines = *static_cast<std::vector<std::string>*>(user);
  lines.emplace_back(kernel);
  const bool as_expected =
      done == lines.size() && total == 3 && outcome == CUBINET_OUTCOME_COMPILED;
  return as_expected ? 0 : 1;
}

int32_t stop_at_once(void*, uint64_t, uint64_t, const char*, cubinet_outcome) { return 1; }

TEST_CASE("a list is prefetched, asked about and waited for") {
  CScene scene;
  scene.use(0);
  const Three three(scene);
  cubinet_warm_up* warm_up = nullptr;
  REQUIRE(cubinet_prefetch_all(scene.runtime(), three.pointers.data(), 3, &warm_up) == CUBINET_OK);
  std::int32_t done = 0;
  REQUIRE(cubinet_warm_up_wait(warm_up, 0, &done) == CUBINET_OK);
  CHECK(done == 0);
  REQUIRE(cubinet_warm_up_wait(warm_up, -1, &done) == CUBINET_OK);
  CHECK(done == 1);
  CHECK(report_of(warm_up).kernels == 3);
  CHECK(report_of(warm_up).compiled == 3);
  CHECK(report_of(warm_up).elapsed_us > 0);
  REQUIRE(cubinet_warm_up_wait(warm_up, 5, &done) == CUBINET_OK);
  CHECK(done == 1);
  cubinet_warm_up_free(warm_up);
  REQUIRE(cubinet_prefetch_all(scene.runtime(), three.pointers.data(), 3, nullptr) == CUBINET_OK);
  cubinet_warm_up_free(nullptr);
}

TEST_CASE("one thread may ask what another waits for") {
  CScene scene;
  scene.use(0);
  const Three three(scene);
  cubinet_warm_up* warm_up = nullptr;
  REQUIRE(cubinet_prefetch_all(scene.runtime(), three.pointers.data(), 3, &warm_up) == CUBINET_OK);
  cubinet_warm_up_report there = cubinet_warm_up_report_init();
  std::int32_t done = 0;
  {
    const std::jthread other([&] { cubinet_warm_up_describe(warm_up, &there); });
    while (done == 0) REQUIRE(cubinet_warm_up_wait(warm_up, 0, &done) == CUBINET_OK);
    CHECK(report_of(warm_up).kernels == 3);
  }
  CHECK(there.kernels == 3);
  cubinet_warm_up_free(warm_up);
}

TEST_CASE("a warm-up tells its progress, and what failed by status and last error") {
  CScene scene;
  scene.use(0);
  Three three(scene);
  std::vector<std::string> lines;
  cubinet_warm_up* warm_up = nullptr;
  REQUIRE(cubinet_warm_up_list(scene.runtime(), three.pointers.data(), 3, count_progress, &lines,
                               &warm_up) == CUBINET_OK);
  REQUIRE(warm_up != nullptr);
  CHECK(lines.size() == 3);
  CHECK(report_of(warm_up).compiled == 3);
  const char* kernel = "";
  CHECK(cubinet_warm_up_failure(warm_up, 0, &kernel) == CUBINET_INVALID_ARGUMENT);
  CHECK(kernel == nullptr);
  cubinet_warm_up_free(warm_up);
  // Ended by its progress function.
  REQUIRE(cubinet_warm_up_list(scene.runtime(), three.pointers.data(), 3, stop_at_once, nullptr,
                               &warm_up) == CUBINET_OK);
  CHECK(warm_up == nullptr);
  three.constants[2][0] = cubinet_int("SIZE", 3);
  CHECK(cubinet_warm_up_list(scene.runtime(), three.pointers.data(), 3, nullptr, nullptr,
                             &warm_up) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("SIZE"));
}

TEST_CASE("a recording is warmed up from C; a request that is unknown now is a failure") {
  CScene scene;
  scene.use(0);
  scene.directory.write("kernels.jsonl",
                        "{\"template\":\"tiny\",\"constants\":{\"SIZE\":8}}\n"
                        "{\"template\":\"gone\",\"constants\":{}}\n");
  const std::string file = (scene.directory / "kernels.jsonl").string();
  cubinet_warm_up* warm_up = nullptr;
  REQUIRE(cubinet_warm_up_recording(scene.runtime(), file.c_str(), nullptr, nullptr, &warm_up) ==
          CUBINET_OK);
  CHECK(report_of(warm_up).compiled == 1);
  CHECK(report_of(warm_up).failed == 1);
  const char* kernel = nullptr;
  CHECK(cubinet_warm_up_failure(warm_up, 0, &kernel) == CUBINET_UNKNOWN_TEMPLATE);
  CHECK(std::string_view(kernel) == "gone");
  CHECK(last_error_says("gone"));
  cubinet_warm_up_free(warm_up);
  CHECK(cubinet_warm_up_recording(scene.runtime(), "/no/such/file", nullptr, nullptr, &warm_up) ==
        CUBINET_IO);
  CHECK(cubinet_warm_up_recording(scene.runtime(), nullptr, nullptr, nullptr, nullptr) ==
        CUBINET_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace jit
