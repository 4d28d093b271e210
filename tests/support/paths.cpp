#include "support/paths.hpp"

namespace jit::testing {

const char* const kSourceDir = JIT_TEST_SOURCE_DIR;
const char* const kCommandPath = JIT_TEST_COMMAND;
const char* const kFakeCudaPath = JIT_TEST_FAKE_CUDA;
const char* const kFakeFileSystemPath = JIT_TEST_FAKE_FILE_SYSTEM;
#if defined(JIT_TEST_HAS_NVTX_TOOL)
const char* const kNvtxToolPath = JIT_TEST_NVTX_TOOL;
#endif

}  // namespace jit::testing
