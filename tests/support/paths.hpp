// Where a build has put what tests run, open and read. Only paths.cpp is compiled with these paths:
// every other file comes to the same object in every clone, so that ccache has it.
#pragma once

namespace jit::testing {

extern const char* const kSourceDir;
extern const char* const kCommandPath;  // of the cubinet command
extern const char* const kFakeCudaPath;
extern const char* const kFakeFileSystemPath;
#if defined(JIT_TEST_HAS_NVTX_TOOL)
extern const char* const kNvtxToolPath;
#endif

}  // namespace jit::testing
