// The text exposition format 0.0.4 as a grammar, read strictly.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace jit::testing {

struct MetricFamily {
  std::string type;  // counter, gauge or histogram
  // Values by what stands before them: name{label="value",...}
  std::map<std::string, double> samples;
};

// Reads a page; each family has a HELP, then a TYPE, then its samples without a gap; names, labels
// and escapes are what the format says; counters end in _total; buckets of a histogram rise to
// le="+Inf", which is its _count. Errors: std::runtime_error with the line.
std::map<std::string, MetricFamily> parse_exposition(std::string_view page);

}  // namespace jit::testing
