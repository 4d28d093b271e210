#include "runtime/template_registry.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::TemporaryDirectory;

TEST_CASE("a template on the path hides the shipped one of its name") {
  const TemporaryDirectory directory;
  const auto shipped = std::string(embedded_templates()[0]->name);
  const auto source = std::filesystem::path(testing::kSourceDir) / "kernel_templates";
  std::filesystem::create_directories(directory / "mine");
  std::filesystem::copy(source / shipped, directory / "mine" / shipped,
                        std::filesystem::copy_options::recursive);
  TemplateRegistry registry({{directory / "mine"}, {}});
  const table::Template& found = registry.find(shipped);
  CHECK(&found != embedded_templates()[0]);
  CHECK(found.bundle_sha256 == embedded_templates()[0]->bundle_sha256);
  CHECK(contains(found.origin, directory.path().string()));
  CHECK(&registry.find(shipped) == &found);
}

TEST_CASE("an unknown template is refused with the names there are") {
  const TemporaryDirectory directory;
  TemplateRegistry registry({{testing::write_tiny(directory), "/nowhere"}, {}});
  const Error error = error_of([&] { registry.find("tinny"); });
  CHECK(error.code() == ErrorCode::kUnknownTemplate);
  CHECK(contains(error.what(), "get tinny: no such template; there are "));
  CHECK(contains(error.what(), "merge_attn_states"));
  CHECK(contains(error.what(), "tiny"));
}

TEST_CASE("a name is never a path") {
  const TemporaryDirectory directory;
  testing::write_tiny(directory);
  directory.write("templates/inner/x", "");
  TemplateRegistry registry({{directory / "templates/inner"}, {}});
  for (const char* name : {"../tiny", "", ".", "..", "/etc", "tiny/../tiny"}) {
    CHECK(error_of([&] { registry.find(name); }).code() == ErrorCode::kUnknownTemplate);
  }
}

TEST_CASE("templates are added all or none, before they are used") {
  const TemporaryDirectory directory;
  const auto templates = testing::write_tiny(directory);
  TemplateRegistry registry({{}, {}});
  directory.write("templates/zbad/manifest.json", "{}");
  CHECK(error_of([&] { registry.add(templates); }).code() == ErrorCode::kInvalidTemplate);
  CHECK(error_of([&] { registry.find("tiny"); }).code() == ErrorCode::kUnknownTemplate);
  std::filesystem::remove_all(directory / "templates/zbad");
  registry.add(templates);
  registry.add(templates);  // the last one counts
  CHECK(registry.find("tiny").name == "tiny");
  registry.add(templates);  // looking at one is not using it
  registry.mark_served("tiny");
  CHECK(contains(error_of([&] { registry.add(templates); }).what(), "has been used already"));
  CHECK(error_of([&] { registry.add(directory / "nowhere"); }).code() == ErrorCode::kIo);
  std::filesystem::create_directories(directory / "empty");
  CHECK(error_of([&] { registry.add(directory / "empty"); }).code() == ErrorCode::kIo);
}

TEST_CASE("all templates are listed once each, sorted") {
  const TemporaryDirectory directory;
  TemplateRegistry registry({{testing::write_tiny(directory)}, {}});
  const auto all = registry.all();
  REQUIRE(all.size() == embedded_templates().size() + 1);
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1]->name < all[i]->name);
}

TEST_CASE("registered templates are found by registries made afterwards, the last one first") {
  static TableArena arena;
  static const TemporaryDirectory directory;
  static const auto folder = testing::write_tiny(directory) / "tiny";
  static table::Template first = read_template(folder, {}, arena);
  static table::Template second = read_template(folder, {}, arena);
  first.name = second.name = "registered_by_a_test";
  table::register_templates(std::span(&first, 1));
  table::register_templates(std::span(&second, 1));
  TemplateRegistry registry({{}, {}});
  CHECK(&registry.find("registered_by_a_test") == &second);
}

TEST_CASE("templates that threads register at the same time are all found") {
  // In a process of their own: nothing takes them off the list again.
  const pid_t process = testing::fork_child([] {
    constexpr std::size_t kEach = 200;
    static std::array<table::Template, 4 * kEach> mine{};
    const std::size_t before = embedded_templates().size();
    {
      std::vector<std::jthread> threads;
      for (std::size_t first = 0; first < mine.size(); first += kEach) {
        threads.emplace_back([first] {
          for (std::size_t i = 0; i < kEach; ++i) {
            table::register_templates(std::span(&mine[first + i], 1));
            if (i % 20 == 0) static_cast<void>(embedded_templates());
          }
        });
      }
    }
    const auto found = embedded_templates();
    const std::set<const table::Template*> distinct(found.begin(), found.end());
    return distinct.size() == before + mine.size() ? 0 : 1;
  });
  CHECK(testing::wait_for(process) == 0);
}

}  // namespace
}  // namespace jit
