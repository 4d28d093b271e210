// An error at every system call of publish, find and lock, one after the other.
#include "cache/fault_injection.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>

#include "base/file.hpp"
#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/eviction.hpp"
#include "cache/layout.hpp"
#include "cache/single_flight.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

// Calls `body(call, error)` for every pair until `body` says that no call was left to strike.
// Returns: the number of calls.
template <class Body>
int for_every_fault(Body body) {
  int call = 0;
  bool struck = true;
  while (struck && call < 500) {
    ++call;
    for (const int error : errors_of_file_systems()) {
      CAPTURE(call, error_text(error));
      struck = body(call, error);
      if (!struck) break;
    }
  }
  return call - 1;
}

struct Faulted {
  PublishResult result;
  std::string struck;
};

Faulted publish_with(const Directory& directory, const Entry& entry, const Fault& fault) {
  const FaultInjector injector(fault);
  PublishResult result = directory.publish(entry);
  return {std::move(result), injector.struck()};
}

std::optional<Entry> find(const Directory& directory, const Entry& entry) {
  return directory.find(entry.key, entry.artifact.toolchain, ToolchainPolicy::kExact);
}

}  // namespace

TEST_CASE("an error at any call of a first publish costs that publish at most") {
  const Entry entry = make_entry(1);
  const Folder folder;
  const fs::path root = folder / "cache";
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    fs::remove_all(root);
    const Directory directory({.root = root}, Logger::silent());
    const auto [result, struck] = publish_with(directory, entry, {.at_call = call, .error = error});
    INFO("struck " << struck);
    CHECK((result.ok || !result.what.empty()));
    const auto found = find(directory, entry);
    CHECK(found.has_value() == result.ok);
    if (found) CHECK(same(*found, entry));
    if (struck != "unlinkat") CHECK(files_in(root / kFormatDirectory / "tmp") == 0);
    CHECK(open_descriptors() == descriptors);
    CHECK(directory.publish(entry).ok);
    CHECK(find(directory, entry));
    return !struck.empty();
  });
  CHECK(calls > 20);
}

TEST_CASE("an error at any call of a replacing publish leaves the old entry or the new one") {
  const Entry entry = make_entry(1);
  Entry newer = make_entry(1, 5000);
  const Folder folder;
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    const Directory directory({.root = folder.path()}, Logger::silent());
    REQUIRE(directory.publish(entry).ok);
    const auto [result, struck] = publish_with(directory, newer, {.at_call = call, .error = error});
    INFO("struck " << struck);
    const auto found = find(directory, entry);
    REQUIRE(found);
    CHECK(same(*found, result.ok ? newer : entry));
    if (struck != "unlinkat") CHECK(files_in(folder / kFormatDirectory / "tmp") == 0);
    CHECK(open_descriptors() == descriptors);
    return !struck.empty();
  });
  CHECK(calls > 10);
}

TEST_CASE("two errors in one publish leave nothing behind but what could not be removed") {
  const Entry entry = make_entry(1);
  const Folder folder;
  for (const char* function : {"write", "fsync", "close", "renameat", "fstat", "openat"}) {
    for (const int error : errors_of_file_systems()) {
      CAPTURE(function, error_text(error));
      if (error == EINTR) continue;  // for ever interrupted is no error that a file system gives
      const Directory directory({.root = folder.path()}, Logger::silent());
      const auto [result, struck] = publish_with(
          directory, entry, {.at_call = 1, .error = error, .only = function, .always = true});
      CHECK(struck == function);
      const bool cannot_sync = std::string(function) == "fsync" && error == ENOSYS;
      CHECK(result.ok == cannot_sync);
      CHECK(files_in(folder / kFormatDirectory / "tmp") == 0);
      CHECK(directory.publish(entry).ok);
    }
  }
}

TEST_CASE("an error at any call of a find is a miss or the right entry, and no damage") {
  const Entry entry = make_entry(1);
  const Folder folder;
  REQUIRE(Directory({.root = folder.path()}).publish(entry).ok);
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    const Directory directory({.root = folder.path()}, Logger::silent());
    std::string struck;
    {
      const FaultInjector injector({.at_call = call, .error = error});
      Miss miss;
      const auto found = directory.find({.key = entry.key, .toolchain = toolchain()}, &miss);
      struck = injector.struck();
      INFO("struck " << struck);
      CHECK((found.has_value() != (miss.reason != MissReason::kNone)));
      if (found) CHECK(same(*found, entry));
      if (struck == "openat" && error == ESTALE && call > 6) CHECK(found);
    }
    CHECK(open_descriptors() == descriptors);
    CHECK(directory.stats().quarantined == 0);
    CHECK(find(directory, entry));
    return !struck.empty();
  });
  CHECK(calls > 10);
}

TEST_CASE("an error at any call of an eviction costs at most that there is less of it") {
  const Folder folder;
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    const Directory directory({.root = folder.path()}, Logger::silent());
    for (std::uint32_t i = 0; i < 3; ++i) REQUIRE(directory.publish(make_entry(i)).ok);
    std::string struck;
    {
      const FaultInjector injector({.at_call = call, .error = error});
      const EvictionResult result = directory.evict({.max_bytes = 0});
      struck = injector.struck();
      INFO("struck " << struck);
      CHECK((result.done || !result.why.empty()));
      CHECK(result.removed_entries <= 3);
    }
    CHECK(open_descriptors() == descriptors);
    for (std::uint32_t i = 0; i < 3; ++i) {
      const auto found = find(directory, make_entry(i));
      if (found) CHECK(same(*found, make_entry(i)));
    }
    CHECK(directory.stats().damaged == 0);
    return !struck.empty();
  });
  CHECK(calls > 20);
}

TEST_CASE("an error at any call while damage is moved away is a miss, and heals") {
  const Entry entry = make_entry(1);
  const Folder folder;
  const Directory setup({.root = folder.path()});
  REQUIRE(setup.publish(entry).ok);
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    spill(path_of(folder.path(), entry), std::vector<std::byte>(100));
    const Directory directory({.root = folder.path()}, Logger::silent());
    std::string struck;
    {
      const FaultInjector injector({.at_call = call, .error = error});
      CHECK_FALSE(find(directory, entry));
      struck = injector.struck();
    }
    CHECK_FALSE(find(directory, entry));
    CHECK(directory.publish(entry).ok);
    CHECK(find(directory, entry));
    CHECK(open_descriptors() == descriptors);
    return !struck.empty();
  });
  CHECK(calls > 15);
}

TEST_CASE("an error at any call of a lock is a lock or none, at once") {
  const Folder folder;
  // Where the lock goes when the type of the cache's file system cannot be had.
  ::setenv("XDG_RUNTIME_DIR", folder.path().c_str(), 1);
  const Directory directory({.root = folder.path()});
  const std::size_t descriptors = open_descriptors();
  const int calls = for_every_fault([&](int call, int error) {
    std::string struck;
    {
      const FaultInjector injector({.at_call = call, .error = error});
      const auto lock = FlightLock::acquire(directory, key_of(1), FlightLock::Clock::now());
      struck = injector.struck();
      INFO("struck " << struck);
      const bool conflict = struck == "fcntl" && error == EAGAIN;
      CHECK((lock.state() == LockState::kTimedOut) == conflict);
      CHECK((lock.state() != LockState::kUnavailable || !lock.reason().empty()));
    }
    CHECK(open_descriptors() == descriptors);
    return !struck.empty();
  });
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(calls > 4);
}

TEST_CASE("a file system that knows no locks makes them unavailable, with the reason") {
  const Folder folder;
  const Directory directory({.root = folder.path()});
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL}) {
    const FaultInjector injector({.at_call = 1, .error = error, .only = "fcntl", .always = true});
    const auto far = FlightLock::Clock::now() + std::chrono::hours(1);
    const auto lock = FlightLock::acquire(directory, key_of(1), far);
    CHECK(lock.state() == LockState::kUnavailable);
    CHECK(lock.reason().find(error_text(error)) != std::string::npos);
  }
}
