// Processes that a benchmark starts together and measures.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace jit::inline v1 {

using Environment = std::vector<std::pair<std::string, std::string>>;

// ChildProcess runs this very program with other arguments; its stdin and stdout are pipes.
class ChildProcess {
 public:
  // `environment` is added to this process's own. Errors: kInternal.
  explicit ChildProcess(const std::vector<std::string>& arguments,
                        const Environment& environment = {});
  ~ChildProcess();  // waits
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Errors: kInternal where the process ended instead.
  std::string read_line();
  void write_line(const std::string& line);
  // Returns: its exit status, or 128 + the signal that ended it.
  int wait();

 private:
  struct Closer {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
  };
  using Pipe = std::unique_ptr<std::FILE, Closer>;

  std::string command_;
  pid_t id_ = -1;
  Pipe in_;
  Pipe out_;
};

}  // namespace jit::inline v1
