#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>

using namespace jit;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "cubinet-file-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder(Folder&&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder& operator=(Folder&&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::size_t files_in(const fs::path& path) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), {}));
}

}  // namespace

TEST_CASE("a descriptor has one owner, and closing keeps errno") {
  UniqueFd first(::open("/dev/null", O_RDONLY));
  const int number = first.get();
  UniqueFd second = std::move(first);
  CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move)
  CHECK(second.get() == number);
  errno = E2BIG;
  second.reset();
  CHECK(errno == E2BIG);
  CHECK(::fcntl(number, F_GETFD) == -1);
  CHECK(second.close() == 0);
  UniqueFd bad(1'000'000);
  CHECK(bad.close() == EBADF);
  CHECK_FALSE(bad);
}

TEST_CASE("a file is replaced whole and read back") {
  const Folder folder;
  const fs::path path = folder / "file";
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095},
                                 std::size_t{4096}, std::size_t{4097}, std::size_t{1} << 20}) {
    const std::string text(size, static_cast<char>('a' + size % 7));
    REQUIRE(replace_file(path, text) == 0);
    CHECK(read_file(path) == text);
  }
  CHECK(files_in(path.parent_path()) == 1);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("a replacement that fails leaves the old file and nothing else") {
  const Folder folder;
  fs::create_directories(folder / "taken/inside");
  CHECK(replace_file(folder / "taken", "text") == EISDIR);
  CHECK(files_in((folder / "taken").parent_path()) == 1);
  CHECK(replace_file(folder / "absent/file", "text") == ENOENT);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(replace_file(folder / "fifo", "text") == EINVAL);
}

TEST_CASE("what cannot be read says why") {
  const Folder folder;
  int error = 0;
  CHECK_FALSE(read_file(folder / "absent", 10, &error));
  CHECK(error == ENOENT);
  CHECK_FALSE(read_file(folder / ".", 10, &error));
  CHECK(error == EISDIR);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_FALSE(read_file(folder / "fifo", 10, &error));
  CHECK(error == EINVAL);
  REQUIRE(replace_file(folder / "file", "12345678901") == 0);
  CHECK_FALSE(read_file(folder / "file", 10, &error));
  CHECK(error == EFBIG);
  CHECK(read_file(folder / "file", 11, &error) == "12345678901");
}

TEST_CASE("a file that says less than it holds is read whole") {
  const std::optional<std::string> text = read_file("/proc/self/status");
  REQUIRE(text);
  CHECK(text->find("Name:") == 0);
}

TEST_CASE("opening for reading follows no link and waits for no writer") {
  const Folder folder;
  REQUIRE(replace_file(folder / "file", "text") == 0);
  fs::create_symlink("file", folder / "link");
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(open_for_reading(AT_FDCWD, (folder / "file").c_str()));
  CHECK_FALSE(open_for_reading(AT_FDCWD, (folder / "link").c_str()));
  CHECK(errno == ELOOP);
  CHECK(open_for_reading(AT_FDCWD, (folder / "fifo").c_str()));
}

TEST_CASE("missing directories are made private, whatever the umask") {
  const Folder folder;
  const mode_t before = ::umask(0);
  CHECK(make_private_directories(folder / "a/b/c") == 0);
  ::umask(before);
  for (const char* name : {"a", "a/b", "a/b/c"}) {
    struct stat status {};
    REQUIRE(::stat((folder / name).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
  }
  CHECK(make_private_directories(folder / "a/b/c") == 0);
  REQUIRE(replace_file(folder / "file", "text") == 0);
  CHECK(make_private_directories(folder / "file") == ENOTDIR);
  CHECK(make_private_directories(folder / "file/below") == ENOTDIR);
  CHECK(make_private_directories("") == ENOENT);
}

TEST_CASE("errors are named in words and by name") {
  CHECK(error_text(ENOSPC) == "no space left on device (ENOSPC)");
  CHECK(error_text(EACCES) == "permission denied (EACCES)");
  CHECK(error_text(123456) == "error 123456");
}
