// Files that others take away: gone between listing and reading, or stale on a network file system.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/fault_injection.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

// Root, v1 and shard are opened, and looked at, before the entry.
constexpr int kOpensBeforeEntry = 3;
constexpr int kFstatsBeforeEntry = 3;

struct Step {
  const char* function;
  int calls_before;  // that are not the entry's
};
constexpr Step kSteps[] = {
    {"openat", kOpensBeforeEntry}, {"fstat", kFstatsBeforeEntry}, {"read", 0}};

struct Answer {
  std::optional<Entry> entry;
  Miss miss;
  int calls = 0;
};

Answer find_with(const Directory& directory, const EntryQuery& query, const Fault& fault) {
  Answer answer;
  const FaultInjector injector(fault);
  answer.entry = directory.find(query, &answer.miss);
  answer.calls = injector.calls();
  return answer;
}

}  // namespace

TEST_CASE("a file that is stale once is opened again and found") {
  const Folder folder;
  const Entry entry = make_entry(1);
  Lines lines;
  const Directory directory({.root = folder.path()}, lines.logger());
  REQUIRE(directory.publish(entry).ok);
  for (const Step& step : kSteps) {
    CAPTURE(step.function);
    const Answer answer =
        find_with(directory, {.key = entry.key, .toolchain = toolchain()},
                  {.at_call = step.calls_before + 1, .error = ESTALE, .only = step.function});
    CHECK(answer.calls >= step.calls_before + 2);
    REQUIRE(answer.entry);
    CHECK(same(*answer.entry, entry));
  }
  CHECK(lines.take().empty());
}

TEST_CASE("a file that stays stale is asked for twice and is then a miss by name") {
  const Folder folder;
  const Entry entry = make_entry(1);
  REQUIRE(Directory({.root = folder.path()}).publish(entry).ok);
  for (const Step& step : kSteps) {
    CAPTURE(step.function);
    Lines lines;
    const Directory directory({.root = folder.path()}, lines.logger());
    const Answer answer = find_with(
        directory, {.key = entry.key, .toolchain = toolchain()},
        {.at_call = step.calls_before + 1, .error = ESTALE, .only = step.function, .always = true});
    CHECK_FALSE(answer.entry);
    CHECK(answer.calls == step.calls_before + 2);
    CHECK(answer.miss.reason == MissReason::kUnreadable);
    CHECK(answer.miss.detail.find("ESTALE") != std::string::npos);
    CHECK(lines.take().size() == 1);
    CHECK(directory.stats().quarantined == 0);
    // It may be published anew, and is well again.
    CHECK(directory.publish(entry).ok);
    CHECK(directory.find(entry.key, toolchain(), ToolchainPolicy::kExact));
  }
}

TEST_CASE("a directory that is stale is opened again from the root, once") {
  const Folder folder;
  const Entry entry = make_entry(1);
  const Directory directory({.root = folder.path()}, Logger::silent());
  REQUIRE(directory.publish(entry).ok);
  const EntryQuery query{.key = entry.key, .toolchain = toolchain()};
  for (int call = 1; call <= kOpensBeforeEntry; ++call) {
    CAPTURE(call);
    Fault fault{.at_call = call, .error = ESTALE, .only = "openat"};
    CHECK(find_with(directory, query, fault).entry);
    fault.always = true;
    const Answer answer = find_with(directory, query, fault);
    CHECK(answer.calls == call + 1);
    CHECK(answer.miss.reason == MissReason::kRefused);
    CHECK(answer.miss.detail.find("ESTALE") != std::string::npos);
  }
}

TEST_CASE("a file that vanishes after it was listed makes find list once more") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  const Entry old = make_entry(1, 300, toolchain(12, 8));
  const Entry newer = make_entry(1, 300, toolchain(12, 9));
  const EntryQuery query{.key = old.key, .policy = ToolchainPolicy::kAny};
  REQUIRE(directory.publish(old).ok);
  // Listed is the old one; before it is opened (the listing is an open, too), it is replaced.
  const auto replace = [&] {
    fs::remove(path_of(folder.path(), old));
    CHECK(directory.publish(newer).ok);
  };
  const Fault fault{.at_call = kOpensBeforeEntry + 2, .only = "openat", .meanwhile = replace};
  const Answer answer = find_with(directory, query, fault);
  REQUIRE(answer.entry);
  CHECK(same(*answer.entry, newer));
  CHECK(answer.miss.reason == MissReason::kNone);
}

TEST_CASE("files that vanish whenever they were listed are a plain miss after two listings") {
  const Folder folder;
  Lines lines;
  const Directory directory({.root = folder.path()}, lines.logger());
  const Entry entry = make_entry(1);
  REQUIRE(directory.publish(entry).ok);
  const EntryQuery query{.key = entry.key, .policy = ToolchainPolicy::kAny};
  // The 2nd of: listing, entry; then listing, entry.
  int opened = 0;
  const Answer first = find_with(
      directory, query,
      {.at_call = kOpensBeforeEntry + 2, .only = "openat", .always = true, .meanwhile = [&] {
         ++opened;
         const fs::path path = path_of(folder.path(), entry);
         const fs::path away = folder / "away";
         // The listing sees it, the open right after does not.
         const bool listing = opened == 2;
         if (listing) fs::rename(away, path);
         if (!listing) fs::rename(path, away);
       }});
  CHECK_FALSE(first.entry);
  CHECK(opened == 3);  // entry, listing, entry
  CHECK(first.miss.reason == MissReason::kAbsent);
  CHECK(lines.take().empty());
  CHECK(directory.stats().damaged == 0);
}
