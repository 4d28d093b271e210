// Threads of the library: those that a program does not know of.
#pragma once

#include <functional>
#include <thread>

namespace jit::inline v1 {

// A thread that takes no signals: those of the program are for its own threads, whose handlers may
// count on their stacks and locks. Those that a fault of the thread itself raises stay as they are,
// so that a handler of crashes has its say.
// Errors: std::system_error where there are no threads to be had.
std::thread make_quiet_thread(std::function<void()> body);

}  // namespace jit::inline v1
