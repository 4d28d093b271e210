// A child process with mounts of its own, so that tests may have small disks and overlays.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace jit::test {

enum class Namespaced { kHeld, kFailed, kNotAllowed };

// Runs `body` in a child in its own mount namespace, as root there, also if we are not root.
// `body` returns whether what it checks held; what it mounts ends with it.
Namespaced in_mount_namespace(const std::function<bool()>& body);

// For `body`: each returns false if the system does not allow it.
bool mount_small_disk(const std::filesystem::path& where, const std::string& size);
bool mount_overlay(const std::filesystem::path& lower, const std::filesystem::path& upper,
                   const std::filesystem::path& work, const std::filesystem::path& where);

// For `body`: ends the child, which then counts as kNotAllowed.
[[noreturn]] void not_allowed();

// False, after a line on stderr, if `held` is false.
bool expect(bool held, const std::string& what);

}  // namespace jit::test
