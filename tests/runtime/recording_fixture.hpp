// What the tests of recording share.
#pragma once

#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/runtime_fixture.hpp"

namespace jit::testing {

inline std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// No line is there twice.
inline bool all_distinct(const std::vector<std::string>& lines) {
  return std::set<std::string>(lines.begin(), lines.end()).size() == lines.size();
}

// A scene that records. Nothing is compiled: a request costs microseconds, and fails.
class RecordingScene : public Scene {
 public:
  RecordingScene() {
    options.record_file = file;
    options.mode = Mode::kFrozen;
    options.memory_only = true;
    options.churn = Churn::kOff;
  }
  // Asks for a kernel that is not there.
  static void miss(Runtime& runtime, int size, const Sizes& sizes = {}) {
    CHECK(error_of([&] {
            runtime.get_kernel("tiny", {{"SIZE", size}}, sizes, {.device = 0});
          }).code() == ErrorCode::kFrozenMiss);
  }

  const std::filesystem::path file = directory / "r.jsonl";
};

}  // namespace jit::testing
