// Verb: one word of the command line.
//
// A new verb is a file <name>_verb.cpp, in the folder of its group, that defines
// make_<name>_verb(), listed in sources.cmake, and one line in verbs.hpp.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "cubinet/context.hpp"

namespace jit::inline v1 {

// What the command returns to its caller.
inline constexpr int kFine = 0;
inline constexpr int kFailedWork = 1;
inline constexpr int kUsage = 2;

// The command line cannot be meant as it stands: one line, exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// How an option is spelled and explained.
struct OptionText {
  std::string names;  // "-j,--jobs"; without dashes it is a positional argument: "NAME"
  std::string doc;
  std::string placeholder;  // "N"; empty for flags and positional arguments
};

// Where a verb says what it takes. What is given replaces `value`; a vector takes one element each
// time its option is given, as a positional argument all that are left.
class Arguments {
 public:
  virtual ~Arguments() = default;
  virtual void add(const OptionText& text, bool& value) = 0;
  virtual void add(const OptionText& text, int& value) = 0;
  virtual void add(const OptionText& text, std::string& value) = 0;
  virtual void add(const OptionText& text, std::vector<std::string>& value) = 0;

  void add_json(bool& value) { add({"--json", "Print JSON", {}}, value); }
};

struct VerbInfo {
  std::string words;     // "templates", or "cache ls" for one of a group
  std::string summary;   // one line
  std::string examples;  // whole lines, shown below --help
  bool hidden = false;
};

class Verb {
 public:
  virtual ~Verb() = default;
  virtual VerbInfo info() const = 0;
  // Called once, before run(). Lifetime: what it adds refers to members of the verb.
  virtual void declare(Arguments& arguments) = 0;
  // Returns: kFine or kFailedWork. Errors: UsageError, and jit::Error as the library throws it.
  virtual int run(Context& context) = 0;
};

}  // namespace jit::inline v1
