// Written: which elements of a buffer a launch had to write, and whether it wrote others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"

namespace jit::test {

class Written {
 public:
  explicit Written(std::size_t elements) : is_result_(elements) {}
  void add(std::size_t first, std::int64_t count);
  // The first other element that is not poison; empty if there is none.
  std::string judge(const char* name, const Image& image, std::size_t element_bytes,
                    std::byte poison) const;

 private:
  std::vector<bool> is_result_;
};

}  // namespace jit::test
