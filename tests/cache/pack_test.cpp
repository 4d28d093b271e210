#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/pack_fixture.hpp"
#include "cache/pack_format.hpp"
#include "support/paths.hpp"

using namespace jit;
using namespace jit::test;
namespace fs = std::filesystem;

namespace {

// Bytes and calls of read() and pread() of this process so far.
struct ReadSoFar {
  std::uint64_t bytes = 0;
  std::uint64_t calls = 0;
};

ReadSoFar reads_so_far() {
  std::ifstream file("/proc/self/io");
  ReadSoFar so_far;
  std::string word;
  while (file >> word) {
    if (word == "rchar:") file >> so_far.bytes;
    if (word == "syscr:") file >> so_far.calls;
  }
  return so_far;
}

bool serves(const Pack& pack, const Entry& entry) {
  const auto found = pack.find(query_of(entry));
  return found && same(*found, entry);
}

std::string hex_lines(const std::vector<std::byte>& bytes) {
  const std::string digits =
      to_hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  std::string lines;
  for (std::size_t at = 0; at < digits.size(); at += 64) lines += digits.substr(at, 64) + "\n";
  return lines;
}

}  // namespace

TEST_CASE("a pack serves every entry as it was, by key and by signature") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(50);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const Pack pack({folder / "a.cupack"}, Logger::silent());
  for (const Entry& entry : entries) {
    CHECK(serves(pack, entry));
    const auto listed = pack.list_signature(entry.signature);
    REQUIRE(listed.size() == 1);
    CHECK(listed.front().key == entry.key);
    CHECK(listed.front().name == entry.name);
    CHECK(listed.front().registers == entry.artifact.facts.registers);
    const auto summary = pack.summary_of(listed.front());
    REQUIRE(summary);
    CHECK(summary->entry.bundle_files == entry.bundle_files);
    CHECK(summary->cubin_bytes == entry.artifact.cubin.size());
  }
  Miss miss;
  CHECK_FALSE(pack.find(query_of(make_entry(50)), &miss));
  CHECK(miss.reason == MissReason::kAbsent);
  CHECK(pack.list_signature("kernel[N=50]@sm_90a").empty());
  CHECK(pack.list().size() == 50);
  CHECK(pack.verify().empty());
  CHECK(pack.state().entries == 50);
}

TEST_CASE("an empty pack is a pack") {
  const Folder folder;
  REQUIRE(write_entries(folder / "a.cupack", {}).empty());
  const Pack pack({folder / "a.cupack"}, Logger::silent());
  Miss miss;
  CHECK_FALSE(pack.find(query_of(make_entry(1)), &miss));
  CHECK(miss.reason == MissReason::kAbsent);
  CHECK(pack.list().empty());
  CHECK(pack.verify().empty());
}

TEST_CASE("the first look at 10,000 entries reads header and records, and the entry it finds") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(10'000, 400);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const Pack pack({folder / "a.cupack"}, Logger::silent());
  reads_so_far();
  const ReadSoFar before = reads_so_far();
  const ReadSoFar noise = reads_so_far();
  Miss miss;
  static_cast<void>(pack.find(query_of(make_entry(10'000)), &miss));
  const ReadSoFar opened = reads_so_far();
  const bool served = serves(pack, entries[4321]);
  const ReadSoFar found = reads_so_far();
  CHECK(miss.reason == MissReason::kAbsent);
  CHECK(served);
  // Less what it takes to ask, whose number of digits may change.
  constexpr std::uint64_t kSlack = 64;
  const std::uint64_t asked = noise.bytes - before.bytes;
  const std::uint64_t index = kPackHeaderBytes + 10'000 * kPackRecordBytes;
  CHECK(opened.bytes - noise.bytes >= index);
  CHECK(opened.bytes - noise.bytes <= index + asked + kSlack);
  CHECK(opened.calls - noise.calls - (noise.calls - before.calls) == 2);
  CHECK(found.bytes - opened.bytes <= encode(entries[4321]).size() + asked + kSlack);
  CHECK(found.calls - opened.calls - (noise.calls - before.calls) == 1);
}

TEST_CASE("a pack is the same bytes whatever the order, the place and the machine that compiled") {
  const Folder one;
  const Folder two;
  std::vector<Entry> entries = make_entries(20);
  for (Entry& entry : entries) entry = normalized(entry);
  REQUIRE(write_entries(one / "a.cupack", entries).empty());
  std::reverse(entries.begin(), entries.end());
  entries.push_back(entries.front());
  REQUIRE(write_entries(two / "another-name.cupack", entries).empty());
  CHECK(slurp(one / "a.cupack") == slurp(two / "another-name.cupack"));
  Entry slow = make_entry(1);
  slow.artifact.facts.compile_ms = 1e6;
  CHECK(encode(normalized(slow)) == encode(normalized(make_entry(1))));
}

TEST_CASE("the writer makes the golden pack, and the reader reads it") {
  const Folder folder;
  const fs::path golden = fs::path(testing::kSourceDir) / "tests" / "golden" / "pack.hex";
  std::vector<Entry> entries = {make_entry(1, 40), make_entry(2, 100)};
  entries.push_back(make_entry(1, 40, toolchain(12, 9)));
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const std::string text = hex_lines(slurp(folder / "a.cupack"));
  if (std::getenv("CUBINET_UPDATE_GOLDEN") != nullptr) std::ofstream(golden) << text;
  INFO("if the change is meant, run with CUBINET_UPDATE_GOLDEN=1 and commit " << golden);
  std::stringstream known;
  known << std::ifstream(golden).rdbuf();
  CHECK((known.str() == text));
  std::vector<std::byte> bytes;
  std::string line;
  while (std::getline(known, line)) {
    for (std::size_t at = 0; at + 1 < line.size(); at += 2) {
      bytes.push_back(static_cast<std::byte>(std::stoi(line.substr(at, 2), nullptr, 16)));
    }
  }
  spill(folder / "golden.cupack", bytes);
  const Pack pack({folder / "golden.cupack"}, Logger::silent());
  CHECK(pack.verify().empty());
  CHECK(serves(pack, entries[0]));
  CHECK(serves(pack, entries[1]));
}

TEST_CASE("a pack answers by the policy for compilers, and never what the driver cannot load") {
  const Folder folder;
  const Entry newer = make_entry(1, 100, toolchain(13, 2));
  const Entry other_build = make_entry(1, 100, toolchain(13, 0, 9));
  REQUIRE(write_entries(folder / "a.cupack", {newer, other_build}).empty());
  const Pack pack({folder / "a.cupack"}, Logger::silent());
  EntryQuery query = query_of(newer);
  Miss miss;
  auto found = pack.find(query, &miss);
  REQUIRE(found);
  CHECK(same(*found, other_build));
  query.policy = ToolchainPolicy::kExact;
  CHECK_FALSE(pack.find(query, &miss));
  CHECK(miss.reason == MissReason::kOtherToolchain);
  query.policy = ToolchainPolicy::kAny;
  found = pack.find(query);
  REQUIRE(found);
  CHECK(same(*found, other_build));  // the release at hand before newer ones
  query.toolchain = {};
  found = pack.find(query);
  REQUIRE(found);
  CHECK(same(*found, newer));
  query.driver = CompilerRelease{12, 8};
  CHECK_FALSE(pack.find(query, &miss));
  CHECK(miss.reason == MissReason::kNewerThanDriver);
}

TEST_CASE("nothing is written or touched, however a pack is used") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(5);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const int watch = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  REQUIRE(watch >= 0);
  constexpr std::uint32_t kChanges =
      IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE;
  REQUIRE(::inotify_add_watch(watch, folder.path().c_str(), kChanges) >= 0);
  {
    const Pack pack({folder / "a.cupack"}, Logger::silent());
    for (const Entry& entry : entries) CHECK(serves(pack, entry));
    pack.set_aside(entries[0].key, toolchain());
    static_cast<void>(pack.list());
    static_cast<void>(pack.verify());
  }
  char event[4096];
  CHECK(::read(watch, event, sizeof event) < 0);
  CHECK(errno == EAGAIN);
  std::ofstream(folder / "b") << 1;  // the watch works
  CHECK(::read(watch, event, sizeof event) > 0);
  ::close(watch);
}

TEST_CASE("a hundred processes and their forks read one pack at once") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(60);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const Pack pack({folder / "a.cupack"}, Logger::silent());
  REQUIRE(serves(pack, entries[0]));  // open in the parent: the children share its descriptor
  std::vector<pid_t> children;
  for (int i = 0; i < 100; ++i) {
    children.push_back(start([&, i] {
      const Pack own({folder / "a.cupack"}, Logger::silent());
      const Pack& used = i % 2 == 0 ? own : pack;
      return std::all_of(entries.begin(), entries.end(),
                         [&](const Entry& entry) { return serves(used, entry); });
    }));
  }
  int good = 0;
  for (const pid_t child : children) good += succeeded(child) ? 1 : 0;
  CHECK(good == 100);
}

TEST_CASE("a pack that moved to another directory and another user has it all") {
  const Folder folder;
  fs::permissions(folder.path(), fs::perms(0755));
  const std::vector<Entry> entries = make_entries(60);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const fs::path moved = folder / "elsewhere";
  fs::create_directory(moved);
  fs::rename(folder / "a.cupack", moved / "b.cupack");
  fs::permissions(moved, fs::perms(0555));
  fs::permissions(moved / "b.cupack", fs::perms(0444));
  const auto has_all = [&] {
    const Pack pack({moved / "b.cupack"}, Logger::silent());
    return std::all_of(entries.begin(), entries.end(),
                       [&](const Entry& entry) { return serves(pack, entry); });
  };
  CHECK(as_ordinary_user(has_all));
  if (::geteuid() == 0) {
    REQUIRE(::chown((moved / "b.cupack").c_str(), 54'321, 54'321) == 0);  // and of a third one
    CHECK(as_ordinary_user(has_all));
  }
  fs::permissions(moved, fs::perms(0755));
}

TEST_CASE("a writer that is killed leaves the old pack and no other file") {
  const Folder folder;
  REQUIRE(write_entries(folder / "a.cupack", make_entries(3)).empty());
  const auto before = slurp(folder / "a.cupack");
  const pid_t child = start([&] {
    PackItem item;
    item.bytes = 1000;
    write_pack(folder / "a.cupack", {item}, [](const PackItem&) -> std::optional<Entry> {
      ::kill(::getpid(), SIGKILL);
      return std::nullopt;
    });
    return true;
  });
  CHECK_FALSE(succeeded(child));
  CHECK(slurp(folder / "a.cupack") == before);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a disk that is full leaves the old pack and no other file") {
  const Folder folder;
  REQUIRE(write_entries(folder / "a.cupack", make_entries(1)).empty());
  const auto before = slurp(folder / "a.cupack");
  CHECK(succeeded(start([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit little{before.size(), before.size()};
    if (::setrlimit(RLIMIT_FSIZE, &little) != 0) return false;
    const std::string why = write_entries(folder / "a.cupack", make_entries(50, 1000));
    return why.find("EFBIG") != std::string::npos;
  })));
  CHECK(slurp(folder / "a.cupack") == before);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("two writers of one pack, even of the same process number, are in nobody's way") {
  const Folder folder;
  const fs::path path = folder / "a.cupack";
  const Entry entry = make_entry(1);
  const auto bytes = static_cast<std::uint32_t>(encode(entry).size());
  bool other = false;
  const std::string why =
      write_pack(path, {{entry, 300, bytes}}, [&](const PackItem&) -> std::optional<Entry> {
        other = write_entries(path, make_entries(9)).empty();
        return entry;
      });
  CHECK(other);
  CHECK(why.empty());
  CHECK(Pack({path}, Logger::silent()).verify().empty());
  CHECK(Pack({path}, Logger::silent()).list().size() == 1);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a pack takes the place of a file alone") {
  const Folder folder;
  const fs::path path = folder / "a.cupack";
  struct stat before {};
  SECTION("fifo") { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
  SECTION("directory") { fs::create_directory(path); }
  SECTION("a link to a device") { fs::create_symlink("/dev/null", path); }
  REQUIRE(::lstat(path.c_str(), &before) == 0);
  CHECK(write_entries(path, make_entries(1)).find("no file") != std::string::npos);
  struct stat after {};
  REQUIRE(::lstat(path.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(before.st_mode == after.st_mode);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a failed write leaves the old pack and no other file") {
  const Folder folder;
  const std::vector<Entry> entries = make_entries(3);
  REQUIRE(write_entries(folder / "a.cupack", entries).empty());
  const auto before = slurp(folder / "a.cupack");
  std::vector<PackItem> items(1);
  items[0].head.signature = "gone";
  const std::string why =
      write_pack(folder / "a.cupack", items, [](const PackItem&) { return std::nullopt; });
  CHECK(why.find("the entry of gone cannot be read") != std::string::npos);
  CHECK(slurp(folder / "a.cupack") == before);
  CHECK(files_in(folder.path()) == 1);
  CHECK(write_entries(folder / "no/where.cupack", entries).find("ENOENT") != std::string::npos);
}
