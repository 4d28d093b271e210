// Files that are not the entry that was asked for: never a wrong cubin, always a named miss, out of
// the way, and healed by the next publish.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <set>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "cache/cache_fixture.hpp"
#include "cache/directory.hpp"
#include "cache/layout.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

// A directory with one published entry, and what must hold whatever stands in that entry's place.
class Patient {
 public:
  explicit Patient(std::uint32_t number = 1, std::size_t cubin_bytes = 200)
      : entry(make_entry(number, cubin_bytes)), path(path_of(folder.path(), entry)) {
    REQUIRE(directory.publish(entry).ok);
  }

  // Returns: the damage that was found; kNone if what was found is wrong in any way.
  Damage diagnose() {
    const DirectoryStats before = directory.stats();
    Miss miss;
    if (directory.find({.key = entry.key, .toolchain = toolchain()}, &miss)) return Damage::kNone;
    const DirectoryStats after = directory.stats();
    const bool counted = after.damaged == before.damaged + 1 &&
                         after.quarantined == before.quarantined + 1 &&
                         after.misses == before.misses + 1;
    const bool named = miss.reason == MissReason::kDamaged && !miss.detail.empty();
    struct stat status {};
    const bool gone = ::lstat(path.c_str(), &status) != 0;
    return counted && named && gone ? miss.damage : Damage::kNone;
  }
  bool heals() {
    if (!directory.publish(entry).ok) return false;
    const auto found = directory.find(entry.key, toolchain(), ToolchainPolicy::kExact);
    return found && same(*found, entry);
  }

  Folder folder;
  Directory directory{{.root = folder.path()}, Logger::silent()};
  Entry entry;
  fs::path path;
};

void fill_socket_address(sockaddr_un& address, const std::string& path) {
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
}

}  // namespace

TEST_CASE("every byte of an entry's file flipped is a named miss that heals") {
  Patient patient;
  const std::vector<std::byte> good = slurp(patient.path);
  std::set<Damage> kinds;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int pattern : {0x01, 0x80, 0xff}) {
      std::vector<std::byte> bytes = good;
      bytes[at] ^= static_cast<std::byte>(pattern);
      spill(patient.path, bytes);
      const Damage damage = patient.diagnose();
      if (damage == Damage::kNone || !patient.heals()) FAIL("byte " << at << " ^ " << pattern);
      kinds.insert(damage);
    }
  }
  CHECK(kinds.count(Damage::kBadMagic) == 1);
  CHECK(kinds.count(Damage::kFutureVersion) == 1);
  CHECK(kinds.count(Damage::kBadLength) == 1);
  CHECK(kinds.count(Damage::kBadChecksum) == 1);
}

TEST_CASE("every truncation of an entry's file, and extensions, are named misses that heal") {
  Patient patient;
  const std::vector<std::byte> good = slurp(patient.path);
  for (std::size_t size = 0; size < good.size(); ++size) {
    spill(patient.path, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
    if (patient.diagnose() != Damage::kTruncated || !patient.heals()) FAIL("cut at " << size);
  }
  for (std::size_t extra = 1; extra <= 64; ++extra) {
    std::vector<std::byte> longer = good;
    longer.resize(good.size() + extra, static_cast<std::byte>(extra));
    spill(patient.path, longer);
    if (patient.diagnose() != Damage::kBadLength || !patient.heals()) FAIL("longer by " << extra);
  }
}

TEST_CASE("entries renamed to each other's keys are never served") {
  constexpr std::size_t kEntries = 40;
  const Folder folder;
  const Directory directory({.root = folder.path()}, Logger::silent());
  std::vector<Entry> entries;
  std::vector<std::vector<std::byte>> files;
  for (std::uint32_t number = 0; number < kEntries; ++number) {
    entries.push_back(make_entry(number, 200));
    files.push_back(encode(entries.back()));
    REQUIRE(directory.publish(entries.back()).ok);
  }
  for (std::size_t to = 0; to < kEntries; ++to) {
    const fs::path path = path_of(folder.path(), entries[to]);
    for (std::size_t from = 0; from < kEntries; ++from) {
      if (from == to) continue;
      spill(path, files[from]);
      Miss miss;
      const bool served =
          directory.find({.key = entries[to].key, .toolchain = toolchain()}, &miss).has_value();
      if (served || miss.damage != Damage::kWrongKey) FAIL(from << " served as " << to);
    }
    REQUIRE(directory.publish(entries[to]).ok);
    CHECK(directory.find(entries[to].key, toolchain(), ToolchainPolicy::kExact));
  }
  CHECK(directory.stats().quarantined == kEntries * (kEntries - 1));
}

TEST_CASE("an entry renamed to another compiler's name is not served") {
  Patient patient;
  spill(patient.path, encode(make_entry(1, 200, toolchain(12, 9, 1))));
  CHECK(patient.diagnose() == Damage::kWrongToolchain);
  CHECK(patient.heals());
}

TEST_CASE("what is no file of ours is a named miss that heals") {
  Patient patient;
  fs::remove(patient.path);
  const auto check = [&patient](Damage expected) {
    CHECK(patient.diagnose() == expected);
    CHECK(patient.heals());
    fs::remove(patient.path);
  };
  SECTION("fifo") {
    REQUIRE(::mkfifo(patient.path.c_str(), 0600) == 0);
    check(Damage::kNotRegular);
  }
  SECTION("link to a good entry") {
    spill(patient.folder / "good", encode(patient.entry));
    fs::create_symlink(patient.folder / "good", patient.path);
    check(Damage::kNotRegular);
  }
  SECTION("dangling link") {
    fs::create_symlink("/nowhere", patient.path);
    check(Damage::kNotRegular);
  }
  SECTION("directory") {
    fs::create_directory(patient.path);
    check(Damage::kNotRegular);
  }
  SECTION("directory with something in it") {
    fs::create_directories(patient.path / "inside");
    check(Damage::kNotRegular);
  }
  SECTION("socket") {
    sockaddr_un address{};
    fill_socket_address(address, patient.folder / "s");
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    fs::rename(patient.folder / "s", patient.path);
    check(Damage::kNotRegular);
  }
  SECTION("hard link to a file that others may write") {
    spill(patient.folder / "foreign", encode(patient.entry));
    fs::permissions(patient.folder / "foreign", fs::perms(0666));
    fs::create_hard_link(patient.folder / "foreign", patient.path);
    check(Damage::kOpenToOthers);
  }
  SECTION("hard link to another user's file") {
    if (::geteuid() != 0) SKIP("needs root to make one");
    spill(patient.folder / "foreign", encode(patient.entry));
    REQUIRE(::chown((patient.folder / "foreign").c_str(), 65534, 65534) == 0);
    fs::create_hard_link(patient.folder / "foreign", patient.path);
    check(Damage::kForeignOwner);
  }
  SECTION("a sparse file beyond any size") {
    spill(patient.path, {});
    REQUIRE(::truncate(patient.path.c_str(), off_t{1} << 40) == 0);
    check(Damage::kBadLength);
  }
}

TEST_CASE("publish replaces whatever stands in its place, unasked") {
  Patient patient;
  fs::remove(patient.path);
  SECTION("directory") { fs::create_directories(patient.path / "inside"); }
  SECTION("link") { fs::create_symlink("/nowhere", patient.path); }
  SECTION("fifo") { REQUIRE(::mkfifo(patient.path.c_str(), 0600) == 0); }
  CHECK(patient.heals());
}

TEST_CASE("a read-only Directory leaves damage where it is") {
  Patient patient;
  spill(patient.path, {});
  const Directory reader({.root = patient.folder.path(), .read_only = true}, Logger::silent());
  Miss miss;
  CHECK_FALSE(reader.find({.key = patient.entry.key, .toolchain = toolchain()}, &miss));
  CHECK(miss.damage == Damage::kTruncated);
  CHECK(fs::exists(patient.path));
  CHECK(reader.stats().quarantined == 0);
}

TEST_CASE("a file healed meanwhile is not moved to the quarantine") {
  Patient patient;
  struct stat seen {};
  REQUIRE(::stat(patient.path.c_str(), &seen) == 0);
  REQUIRE(patient.directory.publish(patient.entry).ok);
  CHECK(patient.heals());
  CHECK(files_in(patient.folder / kFormatDirectory / "quarantine") == 0);
}

TEST_CASE("a thousand damaged entries are one warning for each kind") {
  Patient patient;
  Lines lines;
  const Directory directory({.root = patient.folder.path()}, lines.logger());
  for (int round = 0; round < 100; ++round) {
    spill(patient.path, {});
    CHECK_FALSE(directory.find(patient.entry.key, toolchain(), ToolchainPolicy::kExact));
  }
  const std::vector<std::string> warned = lines.take();
  REQUIRE(warned.size() == 1);
  CHECK(warned[0].find("truncated") != std::string::npos);
}
