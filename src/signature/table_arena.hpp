// TableArena owns what a template table made at run time refers to.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jit::inline v1 {

// Keeps strings and arrays at stable addresses for as long as the arena lives.
class TableArena {
 public:
  std::string_view keep(std::string text) { return strings_.emplace_back(std::move(text)); }

  template <class T>
  std::span<const T> keep(std::vector<T> items) {
    auto owned = std::make_shared<const std::vector<T>>(std::move(items));
    arrays_.push_back(owned);
    return *owned;
  }

 private:
  std::deque<std::string> strings_;
  std::vector<std::shared_ptr<const void>> arrays_;
};

}  // namespace jit::inline v1
