// FaultInjector: makes one system call of the code under test fail, or the process die at it.
//
// The test executable defines the C library's file functions itself, so nothing in the code under
// test knows of it, and no call that it makes through them escapes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace jit::test {

struct Fault {
  int at_call = 0;                    // counts from 1; 0: none
  int error = 0;                      // errno of the failing call
  bool kill = false;                  // SIGKILL this process instead
  const char* only = nullptr;         // count calls of this function alone
  bool always = false;                // every such call from at_call on, not one alone
  std::int64_t file_system_type = 0;  // what fstatfs() answers; 0: the truth
  std::vector<std::string> below{};   // but only for what lies below one of these; none: for all
  std::function<void()> meanwhile{};  // happens right before the call, which then does not fail
};

// Active in this thread while it lives.
class FaultInjector {
 public:
  explicit FaultInjector(Fault fault);
  ~FaultInjector();
  FaultInjector(const FaultInjector&) = delete;
  FaultInjector(FaultInjector&&) = delete;
  FaultInjector& operator=(const FaultInjector&) = delete;
  FaultInjector& operator=(FaultInjector&&) = delete;

  int calls() const { return calls_; }
  // The function that was made to fail; empty if it did not come to that.
  const std::string& struck() const { return struck_; }

  // For the functions that stand in for the C library's. Returns: whether this call shall fail;
  // errno is set then.
  bool strikes(const char* function);
  const Fault& fault() const { return fault_; }
  // Whether the file system of this file is not to be told truly.
  bool pretends(int fd) const;

 private:
  Fault fault_;
  int calls_ = 0;
  std::string struck_;
};

// errno values that a file system has been seen to answer with.
std::vector<int> errors_of_file_systems();

}  // namespace jit::test
