#include "runtime/request_recorder.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/file.hpp"
#include "signature/recorded_request.hpp"

namespace jit::inline v1 {

RequestRecorder::RequestRecorder(const std::filesystem::path& file, Logger logger)
    : logger_(std::move(logger)) {
  if (!file.empty()) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(file, error);
    file_.emplace(error ? file : absolute);
  }
  join();
}

RequestRecorder::~RequestRecorder() { leave(); }

void RequestRecorder::write(const Signature& signature, std::span<const Constant> given,
                            const BucketSteps& steps, Debug debug) noexcept {
  try {
    const std::string line = make_recorded_request(signature, given, steps, debug).text();
    std::string error;
    {
      const std::lock_guard lock(mutex_);
      if (!recorded_.insert(xxh3_128(as_bytes(line))).second) return;
      error = file_->append(line);
    }
    if (error.empty()) return;
    logger_.warn_once("record", fmt::format("record requests in {}: {}; the recording lacks {} and "
                                            "maybe others",
                                            file_->path().string(), error, signature.text()));
  } catch (const std::exception&) {
    return;  // out of memory: the request may still find some
  }
}

}  // namespace jit::inline v1
