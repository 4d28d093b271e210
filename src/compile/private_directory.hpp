// Running something where it cannot see the process's working directory.
#pragma once

#include <functional>

namespace jit::inline v1 {

// Runs `work` on a thread whose working directory is "/" for that thread alone. NVRTC writes the
// working directory into full debug information, and no option stops it; the process's own
// directory cannot be changed under other threads.
//
// Where the system refuses a thread a directory of its own (some container sandboxes forbid
// unshare), `work` runs all the same and sees the process's directory.
// Requires: `work` does not throw.
// Returns: whether the directory was private.
bool run_in_private_directory(const std::function<void()>& work);

}  // namespace jit::inline v1
