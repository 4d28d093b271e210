// Child processes: this very executable, running one hidden test case.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace jit::test {

// Environment variables of a child beside ours.
using Variables = std::vector<std::pair<std::string, std::string>>;

class ChildProcess {
 public:
  // Starts the test case named `test_case`; what it prints goes to `log`.
  // Errors: kInternal if no process could be made.
  ChildProcess(const std::string& test_case, const Variables& variables, std::filesystem::path log);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  // Waits. Returns: empty if the test case passed, else how it ended and what it printed.
  std::string failure();

 private:
  pid_t pid_ = -1;
  std::filesystem::path log_;
};

// A variable that the parent has set. Errors: kInvalidArgument if it is not there.
std::string required_variable(const char* name);

}  // namespace jit::test
