#include "tools/prometheus_grammar.hpp"

#include <cmath>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace jit::testing {
namespace {

[[noreturn]] void refuse(const std::string& why, const std::string& line) {
  throw std::runtime_error(why + ": " + line);
}

// One sample line, taken apart.
struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  std::string key;  // name and labels, as they stand
  double value = 0;
};

double parse_value(const std::string& text, const std::string& line) {
  std::size_t used = 0;
  const double value = std::stod(text, &used);
  if (used != text.size() || std::isnan(value) || value < 0) refuse("no such value", line);
  return value;
}

Sample parse_sample(const std::string& line) {
  static const std::regex shape(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? ([0-9.e+]+))re");
  static const std::regex label(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|\}))re");
  std::smatch parts;
  if (!std::regex_match(line, parts, shape)) refuse("no sample", line);
  Sample sample{parts[1], {}, parts[1].str() + parts[2].str(), parse_value(parts[3], line)};
  const std::string labels = parts[2];
  for (std::sregex_iterator it(labels.begin(), labels.end(), label), end; it != end; ++it) {
    if (!sample.labels.emplace((*it)[1], (*it)[2]).second) refuse("a label twice", line);
  }
  return sample;
}

// The name of the family that a sample belongs to.
std::string family_of(const Sample& sample, const std::string& type) {
  if (type != "histogram") return sample.name;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (sample.name.ends_with(suffix)) {
      return sample.name.substr(0, sample.name.size() - suffix.size());
    }
  }
  return sample.name;
}

class Reader {
 public:
  void read(const std::string& line) {
    if (line.starts_with("# HELP ")) begin(line);
    else if (line.starts_with("# TYPE ")) set_type(line);
    else add(line);
  }
  std::map<std::string, MetricFamily> take() {
    end_family();
    return std::move(families_);
  }

 private:
  void begin(const std::string& line) {
    end_family();
    static const std::regex shape(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\]|\\[\\n])+)");
    std::smatch parts;
    if (!std::regex_match(line, parts, shape)) refuse("no help", line);
    name_ = parts[1];
    if (families_.contains(name_)) refuse("a family twice", line);
  }
  void set_type(const std::string& line) {
    static const std::regex shape("# TYPE ([^ ]+) (counter|gauge|histogram)");
    std::smatch parts;
    if (!std::regex_match(line, parts, shape) || parts[1] != name_) refuse("no type", line);
    families_[name_].type = parts[2];
    if ((parts[2] == "counter") != name_.ends_with("_total")) refuse("not named so", line);
  }
  void add(const std::string& line) {
    if (!families_.contains(name_)) refuse("a sample without a type", line);
    MetricFamily& family = families_[name_];
    const Sample sample = parse_sample(line);
    if (family_of(sample, family.type) != name_) refuse("a sample of another family", line);
    if (!family.samples.emplace(sample.key, sample.value).second) refuse("a sample twice", line);
    if (family.type == "histogram") add_to_histogram(sample, line);
  }
  void add_to_histogram(const Sample& sample, const std::string& line) {
    if (sample.name.ends_with("_count")) {
      if (!ended_ || sample.value != seen_) refuse("not the last bucket", line);
      return;
    }
    if (!sample.name.ends_with("_bucket")) return;
    const std::string& le = sample.labels.at("le");
    const double bound = le == "+Inf" ? HUGE_VAL : parse_value(le, line);
    if (ended_ || bound <= bound_ || sample.value < seen_) refuse("buckets do not rise", line);
    bound_ = bound;
    seen_ = sample.value;
    ended_ = le == "+Inf";
  }
  void end_family() {
    if (families_.contains(name_) && families_[name_].type == "histogram" && !ended_) {
      refuse("a histogram without an end", name_);
    }
    name_.clear();
    bound_ = -1;
    seen_ = 0;
    ended_ = false;
  }

  std::map<std::string, MetricFamily> families_;
  std::string name_;
  double bound_ = -1;
  double seen_ = 0;
  bool ended_ = false;
};

}  // namespace

std::map<std::string, MetricFamily> parse_exposition(std::string_view page) {
  if (page.empty() || page.back() != '\n') refuse("no newline at the end", "");
  std::istringstream lines{std::string(page)};
  Reader reader;
  for (std::string line; std::getline(lines, line);) reader.read(line);
  return reader.take();
}

}  // namespace jit::testing
