// A profiler made of nothing: NVTX loads it where NVTX_INJECTION64_PATH says, and it writes one
// line per range to the file that NVTX_TOOL_LOG names: "+compile" at its beginning, "-" at its end.
// With NVTX_TOOL_FORKS it starts a process first, as profilers do.
#define NVTX_NO_IMPL
#include <fcntl.h>
#include <nvtx3/nvToolsExt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

int log_file() {
  static const int fd = ::open(std::getenv("NVTX_TOOL_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  return fd;
}

void write_line(const std::string& line) {
  static_cast<void>(::write(log_file(), line.data(), line.size()) == 0);
}

int push(nvtxDomainHandle_t, const nvtxEventAttributes_t* range) {
  write_line(std::string("+") + range->message.ascii + "\n");
  return 0;
}

int pop(nvtxDomainHandle_t) {
  write_line("-\n");
  return 0;
}

nvtxDomainHandle_t create(const char* name) {
  write_line(std::string("domain ") + name + "\n");
  static int domain = 0;
  return reinterpret_cast<nvtxDomainHandle_t>(&domain);
}

template <class Function>
void set(NvtxFunctionTable table, unsigned size, unsigned index, Function function) {
  if (index < size) *table[index] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t get_table) {
  if (std::getenv("NVTX_TOOL_FORKS") != nullptr) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
  }
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (callbacks == nullptr ||
      callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) == 0) {
    return 0;
  }
  set(table, size, NVTX_CBID_CORE2_DomainCreateA, create);
  set(table, size, NVTX_CBID_CORE2_DomainRangePushEx, push);
  set(table, size, NVTX_CBID_CORE2_DomainRangePop, pop);
  return 1;
}
