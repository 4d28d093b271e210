// The command line: from words to a verb and its arguments, and from what it throws to one line and
// an exit code.
#pragma once

namespace jit::inline v1 {

// Returns: 0 fine, 1 failed work, 2 usage.
int run_command_line(int argc, char** argv);

}  // namespace jit::inline v1
