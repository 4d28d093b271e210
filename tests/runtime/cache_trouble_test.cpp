// Disks that are full, read-only, foreign or not there: the kernel is served all the same.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Scene;
using testing::tiny_constants;

// Gets two kernels; both must be served, with one warning about the cache.
void check_served_with_one_warning(Scene& scene, std::string_view warning) {
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  CHECK(runtime.get_kernel("tiny", tiny_constants(16)));
  CHECK(runtime.stats().compiles == 2);
  CHECK(runtime.stats().published == 0);
  const auto warnings = scene.log.warnings();
  for (const std::string& line : warnings) UNSCOPED_INFO(line);
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], warning));
}

// Mounted is a file system of its own over a directory, for as long as it lives.
class Mounted {
 public:
  Mounted(const fs::path& where, unsigned long flags, const char* data) : where_(where) {
    fs::create_directories(where);
    mounted_ = ::mount("tmpfs", where.c_str(), "tmpfs", flags, data) == 0;
  }
  ~Mounted() {
    if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  explicit operator bool() const { return mounted_; }

 private:
  fs::path where_;
  bool mounted_ = false;
};

TEST_CASE("a full disk") {
  Scene scene;
  scene.use(0);
  const Mounted disk(scene.options.cache_dir, 0, "size=64k,mode=0700");
  if (!disk) SKIP("mounting is not allowed here");
  std::ofstream(scene.options.cache_dir / "filler") << std::string(1 << 20, 'x');
  check_served_with_one_warning(scene, "ENOSPC");
}

TEST_CASE("a read-only disk") {
  Scene scene;
  scene.use(0);
  const Mounted disk(scene.options.cache_dir, MS_RDONLY, "mode=0700");
  if (!disk) SKIP("mounting is not allowed here");
  check_served_with_one_warning(scene, "EROFS");
}

TEST_CASE("a directory that cannot be made") {
  Scene scene;
  scene.use(0);
  scene.directory.write("file", "");
  scene.options.cache_dir = scene.directory / "file/cache";
  check_served_with_one_warning(scene, "is no directory");
}

TEST_CASE("a directory that everybody may write to is refused, with the remedy") {
  Scene scene;
  scene.use(0);
  fs::create_directories(scene.options.cache_dir);
  ::chmod(scene.options.cache_dir.c_str(), 0777);
  check_served_with_one_warning(scene, scene.options.cache_dir.string());
  CHECK(fs::is_empty(scene.options.cache_dir));
}

TEST_CASE("a group-writable directory is refused, and taken if the group is trusted") {
  Scene scene;
  scene.use(0);
  fs::create_directories(scene.options.cache_dir);
  ::chmod(scene.options.cache_dir.c_str(), 0770);
  check_served_with_one_warning(scene, "CUBINET_TRUST=group");
  scene.options.trust_group = true;
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK(runtime.stats().published == 1);
}

// A user without a database entry, another one in each process: several may run these tests at
// once, and what the user's uid names is shared.
uid_t stranger() { return 54'321'000 + static_cast<uid_t>(::getpid()); }

// Runs `work` in a child that has given up being root. Returns its exit status.
int as_stranger(const std::function<int()>& work) {
  const uid_t user = stranger();
  return testing::wait_for(testing::fork_child([&] {
    if (::setgid(user) != 0 || ::setuid(user) != 0) return 97;
    return work();
  }));
}

// What a child can tell by its exit status: 0 if the kernel was served with one warning that has
// `warning` in it, or with none if that is empty.
int serve_quietly(const Scene& scene, std::string_view warning) {
  testing::LogLines log;
  RuntimeOptions options = scene.options;
  options.log_sink = log.sink();
  Runtime runtime(options);
  if (!runtime.get_kernel("tiny", tiny_constants(8), {}, {.device = 0})) return 1;
  if (!runtime.get_kernel("tiny", tiny_constants(16), {}, {.device = 0})) return 2;
  const auto warnings = log.warnings();
  if (warning.empty()) return warnings.empty() ? 0 : 3;
  if (warnings.size() != 1) return 4;
  return contains(warnings[0], warning) ? 0 : 5;
}

TEST_CASE("somebody else's directory and one without rights, for a uid that no database knows") {
  if (::getuid() != 0) SKIP("needs root");
  Scene scene;
  ::chmod(scene.directory.path().c_str(), 0755);
  fs::create_directories(scene.options.cache_dir);
  ::chmod(scene.options.cache_dir.c_str(), 0700);
  CHECK(as_stranger([&] { return serve_quietly(scene, "EACCES"); }) == 0);
  ::chmod(scene.options.cache_dir.c_str(), 0755);  // root's, readable: it may not publish
  CHECK(as_stranger([&] { return serve_quietly(scene, "EACCES"); }) == 0);
}

TEST_CASE("no HOME, no database entry: the cache lies in a directory named by the uid") {
  if (::getuid() != 0) SKIP("needs root");
  Scene scene;
  ::chmod(scene.directory.path().c_str(), 0755);
  scene.options.cache_dir.clear();
  const fs::path expected = "/tmp/cubinet-" + std::to_string(stranger());
  fs::remove_all(expected);
  CHECK(as_stranger([&] {
          for (const char* name : {"HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "USER"}) {
            ::unsetenv(name);
          }
          return serve_quietly(scene, "");
        }) == 0);
  struct stat status {};
  REQUIRE(::stat(expected.c_str(), &status) == 0);
  CHECK(status.st_uid == stranger());
  CHECK((status.st_mode & 0777) == 0700);
  fs::remove_all(expected);
}

TEST_CASE("no file may grow: the write fails and the kernel is served") {
  Scene scene;
  // In a child, because the limit cannot be raised again.
  CHECK(testing::wait_for(testing::fork_child([&] {
          std::signal(SIGXFSZ, SIG_IGN);
          const rlimit limit{512, 512};
          if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 97;
          return serve_quietly(scene, "EFBIG");
        })) == 0);
  CHECK(scene.entries().empty());
}

TEST_CASE("a cache that vanishes between two calls comes back") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants(8));
  fs::remove_all(scene.options.cache_dir);
  CHECK(runtime.get_kernel("tiny", tiny_constants(16)));
  CHECK(scene.entries().size() == 1);
  CHECK(scene.log.warnings().empty());
}

}  // namespace
}  // namespace jit
