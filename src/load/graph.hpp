// Capturing a stream into a graph and launching it, for tools and tests.
#pragma once

#include <utility>

#include "load/driver.hpp"

namespace jit::inline v1 {

// GraphExec owns an instantiated graph.
class GraphExec {
 public:
  GraphExec() noexcept = default;
  ~GraphExec();
  GraphExec(const GraphExec&) = delete;
  GraphExec& operator=(const GraphExec&) = delete;
  GraphExec(GraphExec&& other) noexcept
      : driver_(other.driver_), exec_(std::exchange(other.exec_, nullptr)) {}
  GraphExec& operator=(GraphExec&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(exec_, other.exec_);
    return *this;
  }
  // Errors: kDriver.
  void launch(Stream stream) const;

 private:
  friend class StreamCapture;
  GraphExec(Driver& driver, CudaGraphExec exec) noexcept : driver_(&driver), exec_(exec) {}
  Driver* driver_ = nullptr;
  CudaGraphExec exec_ = nullptr;
};

// StreamCapture captures what is launched into a stream between its making and finish().
//
// It begins in the strictest mode (global) unless told otherwise, so that a test sees what breaks a
// user's capture. A capture that is not finished is ended and thrown away.
class StreamCapture {
 public:
  StreamCapture(Driver& driver, Stream stream, CudaCaptureMode mode = kCudaCaptureGlobal);
  ~StreamCapture();
  StreamCapture(const StreamCapture&) = delete;
  StreamCapture& operator=(const StreamCapture&) = delete;
  // Ends the capture. Errors: kDriver, with 901 if something broke the capture.
  GraphExec finish();

 private:
  Driver& driver_;
  Stream stream_;
  bool open_ = true;
};

}  // namespace jit::inline v1
