#include "signature/json_document.hpp"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;

// Far deeper than any manifest.
constexpr std::size_t kMaxDepth = 32;

// KeyWatcher follows the parser and knows where in the document it is.
class KeyWatcher {
 public:
  explicit KeyWatcher(const std::string& file) : file_(file) {}

  bool see(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start: open(false); break;
      case json::parse_event_t::array_start: open(true); break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end: levels_.pop_back(); break;
      case json::parse_event_t::key: take_key(parsed.get_ref<const std::string&>()); break;
      case json::parse_event_t::value: next_item(); break;
    }
    return true;
  }

 private:
  struct Level {
    bool array = false;
    std::size_t items = 0;       // begun so far
    std::set<std::string> keys;  // given so far
    std::string key;             // the last of them
  };

  void next_item() {
    if (!levels_.empty()) ++levels_.back().items;
  }

  void open(bool array) {
    next_item();
    if (levels_.size() == kMaxDepth) refuse(pointer(), "is nested too deeply");
    levels_.push_back({array, 0, {}, {}});
  }

  void take_key(const std::string& key) {
    if (!levels_.back().keys.insert(key).second) {
      levels_.back().key = key;
      refuse(pointer(), "is given twice");
    }
    levels_.back().key = key;
  }

  std::string pointer() const {
    std::string pointer;
    for (const Level& level : levels_) {
      pointer = level.array ? fmt::format("{}/{}", pointer, level.items - 1)
                            : member_pointer(pointer, level.key);
    }
    return pointer;
  }

  [[noreturn]] void refuse(const std::string& pointer, std::string_view reason) const {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("read manifest {} at {}: {}", file_, pointer, reason));
  }

  const std::string& file_;
  std::vector<Level> levels_;
};

}  // namespace

json parse_json_document(std::string_view text, const std::string& file) {
  KeyWatcher watcher(file);
  try {
    return json::parse(text, [&](int, json::parse_event_t event, json& parsed) {
      return watcher.see(event, parsed);
    });
  } catch (const json::parse_error& error) {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("read manifest {} at byte {}: {}", file, error.byte, error.what()));
  }
}

std::string member_pointer(const std::string& pointer, std::string_view key) {
  std::string text = pointer + "/";
  for (const char c : key) {
    if (c == '~') text += "~0";
    else if (c == '/') text += "~1";
    else text += c;
  }
  return text;
}

}  // namespace jit::inline v1
