// What a damaged or foreign entry on disk does to a launch: nothing.
#include <catch2/catch_test_macros.hpp>

#include "cache/entry.hpp"
#include "cache/layout.hpp"
#include "gpu/runtime_fixture.hpp"

namespace jit::test {
namespace {

// A Runtime as a restarted process has it.
class Restarted {
 public:
  explicit Restarted(const RuntimeFixture& fixture)
      : runtime_(options_for(fixture.cache(), lines_)) {
    runtime_.add_templates(fixture.templates());
  }
  Runtime& runtime() { return runtime_; }
  Lines& lines() { return lines_; }

  // Gets, launches, waits. Returns: whether the sum is right.
  bool adds(std::int64_t amount) {
    const Kernel kernel = runtime_.get_kernel("add", {{"AMOUNT", amount}});
    const Values values(driver());
    const StreamOwner stream(driver());
    values.add_with(kernel, stream.get());
    stream.synchronize();
    return values.all_are(static_cast<float>(amount));
  }

 private:
  Lines lines_;
  Runtime runtime_;
};

std::filesystem::path only_entry(const RuntimeFixture& fixture) {
  const auto entries = entries_in(fixture.cache());
  REQUIRE(entries.size() == 1);
  return entries.front();
}

// The next process rebuilds, the one after finds the rebuilt entry.
void check_healed(const RuntimeFixture& fixture, std::int64_t amount) {
  {
    Restarted next(fixture);
    CHECK(next.adds(amount));
    CAPTURE(next.lines().text());
    CHECK(next.runtime().stats().compiles == 1);
    CHECK(next.runtime().stats().quarantined == 1);
  }
  Restarted healed(fixture);
  CHECK(healed.adds(amount));
  CHECK(healed.runtime().stats().compiles == 0);
  CHECK(healed.runtime().stats().disk_hits == 1);
}

TEST_CASE("a sound entry is launched without compiling", "[runtime][disk]") {
  RuntimeFixture fixture;
  fixture.add(2);
  Restarted next(fixture);
  CHECK(next.adds(2));
  CHECK(next.runtime().stats().compiles == 0);
  CHECK(next.runtime().stats().disk_hits == 1);
}

TEST_CASE("one flipped byte anywhere is found, and the kernel rebuilt", "[runtime][disk]") {
  RuntimeFixture fixture;
  fixture.add(2);
  const auto path = only_entry(fixture);
  const std::vector<std::byte> sound = read_bytes(path);
  for (int part = 0; part < 8; ++part) {
    std::vector<std::byte> damaged = sound;
    const std::size_t at = sound.size() * static_cast<std::size_t>(2 * part + 1) / 16;
    damaged[at] ^= std::byte{0x10};
    write_bytes(path, damaged);
    CAPTURE(at);
    check_healed(fixture, 2);
  }
}

TEST_CASE("a truncated entry is found, and the kernel rebuilt", "[runtime][disk]") {
  RuntimeFixture fixture;
  fixture.add(3);
  const auto path = only_entry(fixture);
  std::vector<std::byte> bytes = read_bytes(path);
  bytes.resize(bytes.size() - 100);
  write_bytes(path, bytes);
  check_healed(fixture, 3);
}

TEST_CASE("the entry of another kernel in this one's place is not used", "[runtime][disk]") {
  RuntimeFixture fixture;
  fixture.add(4);
  const auto path = only_entry(fixture);
  fixture.add(5);
  for (const auto& other : entries_in(fixture.cache())) {
    if (other != path) write_bytes(path, read_bytes(other));
  }
  check_healed(fixture, 4);
}

TEST_CASE("an entry for another architecture is not used", "[runtime][disk]") {
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 6}}};
  const auto report = fixture.runtime().precompile("add", constants, {}, "sm_80");
  CHECK(report.arch == "sm_80");
  Restarted next(fixture);
  CHECK(next.adds(6));
  CHECK(next.runtime().stats().compiles == 1);
  CHECK(next.runtime().stats().quarantined == 0);
  CHECK(entries_in(fixture.cache()).size() == 2);
}

TEST_CASE("another architecture's code under this one's key is found, and the kernel rebuilt",
          "[runtime][disk]") {
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 7}}};
  fixture.runtime().precompile("add", constants, {}, "sm_80");
  const Decoded foreign = decode(read_bytes(only_entry(fixture)), nullptr);
  REQUIRE(foreign.entry);
  std::filesystem::remove_all(fixture.cache() / kFormatDirectory);

  Restarted own_process(fixture);
  CHECK(own_process.adds(7));
  const auto path = only_entry(fixture);
  const Decoded own = decode(read_bytes(path), nullptr);
  REQUIRE(own.entry);
  // An entry that is whole in every checksum and lies about its code alone.
  Entry forged = *own.entry;
  forged.artifact.cubin = foreign.entry->artifact.cubin;
  write_bytes(path, encode(forged));
  check_healed(fixture, 7);
}

TEST_CASE("a frozen runtime launches what is there and explains what is not", "[runtime][disk]") {
  RuntimeFixture fixture;
  fixture.add(8);
  RuntimeOptions options = options_for(fixture.cache());
  options.mode = Mode::kFrozen;
  Runtime frozen(options);
  frozen.add_templates(fixture.templates());
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  values.add_with(frozen.get_kernel("add", {{"AMOUNT", 8}}), stream.get());
  stream.synchronize();
  CHECK(values.all_are(8));
  try {
    frozen.get_kernel("add", {{"AMOUNT", 9}});
    FAIL("a kernel that is not in the cache was served");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kFrozenMiss);
    CHECK(std::string_view(error.what()).find("AMOUNT=9") != std::string_view::npos);
  }
}

}  // namespace
}  // namespace jit::test
