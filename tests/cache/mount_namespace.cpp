#include "cache/mount_namespace.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace jit::test {
namespace {

constexpr int kNotAllowedCode = 77;

bool write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  return static_cast<bool>(file.flush());
}

bool enter() {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::geteuid() != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", "0 " + uid + " 1\n")) return false;
    if (!write_file("/proc/self/gid_map", "0 " + gid + " 1\n")) return false;
  } else if (::unshare(CLONE_NEWNS) != 0) {
    return false;
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace

Namespaced in_mount_namespace(const std::function<bool()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter()) not_allowed();
    std::_Exit(body() ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return Namespaced::kFailed;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowedCode) return Namespaced::kNotAllowed;
  return status == 0 ? Namespaced::kHeld : Namespaced::kFailed;
}

bool mount_small_disk(const std::filesystem::path& where, const std::string& size) {
  const std::string data = "mode=0700,size=" + size;
  return ::mount("tmpfs", where.c_str(), "tmpfs", 0, data.c_str()) == 0;
}

bool mount_overlay(const std::filesystem::path& lower, const std::filesystem::path& upper,
                   const std::filesystem::path& work, const std::filesystem::path& where) {
  const std::string data =
      "lowerdir=" + lower.string() + ",upperdir=" + upper.string() + ",workdir=" + work.string();
  // In a user namespace only the attributes of users may be had.
  return ::mount("overlay", where.c_str(), "overlay", 0, data.c_str()) == 0 ||
         ::mount("overlay", where.c_str(), "overlay", 0, (data + ",userxattr").c_str()) == 0;
}

void not_allowed() { std::_Exit(kNotAllowedCode); }

bool expect(bool held, const std::string& what) {
  if (!held) std::fprintf(stderr, "did not hold: %s\n", what.c_str());
  return held;
}

}  // namespace jit::test
