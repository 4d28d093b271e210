// cubinet: renders, precompiles and inspects kernels. See `cubinet --help`.
#include <csignal>

#include "cubinet/command_line.hpp"
#include "cubinet/precompile/stop_signals.hpp"

int main(int argc, char** argv) {
  // A reader that has seen enough (`| head`) ends the command without a word, also where the caller
  // ignores the signal.
  std::signal(SIGPIPE, SIG_DFL);
  const int code = jit::run_command_line(argc, argv);
  if (code > jit::kStoppedBySignal) std::raise(code - jit::kStoppedBySignal);
  return code;
}
