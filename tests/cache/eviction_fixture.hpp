// Entries of chosen ages, for the tests of eviction.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <vector>

#include "cache/cache_fixture.hpp"
#include "cache/eviction.hpp"

namespace jit::test {

inline constexpr std::int64_t kDay = 86'400;

inline void set_age(const std::filesystem::path& path, std::int64_t seconds) {
  const timespec time{::time(nullptr) - seconds, 0};
  const timespec times[2] = {time, time};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

// A cache of `count` entries, all of one size; the first was used longest ago, each other a day
// later.
class Cache {
 public:
  explicit Cache(std::uint32_t count) : count_(count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      REQUIRE(directory.publish(make_entry(i)).ok);
      set_age(path(i), (count - i) * kDay);
    }
  }
  std::filesystem::path path(std::uint32_t number) const {
    return path_of(folder.path(), make_entry(number));
  }
  bool has(std::uint32_t number) const { return std::filesystem::exists(path(number)); }
  // The numbers of entries that are left.
  std::vector<std::uint32_t> left() const {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < count_; ++i) {
      if (has(i)) numbers.push_back(i);
    }
    return numbers;
  }
  std::uint64_t entry_bytes() const {
    return directory.evict({.dry_run = true}).scanned_bytes / count_;
  }

  Folder folder;
  Directory directory{{.root = folder.path(), .min_free_bytes = 0}, Logger::silent()};

 private:
  std::uint32_t count_;
};

using Numbers = std::vector<std::uint32_t>;

inline void make_file(const std::filesystem::path& path, std::size_t bytes, std::int64_t age_s) {
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::permissions(path.parent_path(), std::filesystem::perms(0700));
  spill(path, std::vector<std::byte>(bytes));
  set_age(path, age_s);
}

}  // namespace jit::test
