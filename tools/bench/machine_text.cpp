#include "bench/machine_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include "cubinet/precompile/machine.hpp"

namespace jit::inline v1 {
namespace {

double load_average() {
  std::array<double, 1> load{};
  return ::getloadavg(load.data(), 1) == 1 ? load[0] : -1;
}

std::string processor() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string machine_text() {
  return fmt::format("{}, {} cores usable, load {:.1f} at the start", processor(),
                     Machine().cores(), load_average());
}

}  // namespace jit::inline v1
