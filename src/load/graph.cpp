#include "load/graph.hpp"

namespace jit::inline v1 {

GraphExec::~GraphExec() {
  if (exec_ != nullptr && !process_is_exiting()) driver_->api().graph_exec_destroy(exec_);
}

void GraphExec::launch(Stream stream) const {
  if (exec_ == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "launch graph: the GraphExec is empty");
  }
  driver_->check(driver_->api().graph_launch(exec_, stream), "launch graph", "cuGraphLaunch");
}

StreamCapture::StreamCapture(Driver& driver, Stream stream, CudaCaptureMode mode)
    : driver_(driver), stream_(stream) {
  driver.check(driver.api().stream_begin_capture(stream, mode), "begin capture",
               "cuStreamBeginCapture");
}

StreamCapture::~StreamCapture() {
  if (!open_ || process_is_exiting()) return;
  CudaGraph graph = nullptr;
  if (driver_.api().stream_end_capture(stream_, &graph) == kCudaSuccess && graph != nullptr) {
    driver_.api().graph_destroy(graph);
  }
}

GraphExec StreamCapture::finish() {
  open_ = false;
  CudaGraph graph = nullptr;
  driver_.check(driver_.api().stream_end_capture(stream_, &graph), "end capture",
                "cuStreamEndCapture");
  CudaGraphExec exec = nullptr;
  const CudaResult result = driver_.api().graph_instantiate(&exec, graph, 0);
  driver_.api().graph_destroy(graph);
  driver_.check(result, "instantiate graph", "cuGraphInstantiate");
  return GraphExec(driver_, exec);
}

}  // namespace jit::inline v1
