#include "bench/bare_compile.hpp"

namespace jit::inline v1 {

BareCompiler::BareCompiler(const ToolchainLocation& location, const table::Template& tmpl)
    : nvrtc_(Nvrtc::load(location)), has_cache_(location.id.release >= CompilerRelease{12, 9}) {
  owned_.reserve(2 * tmpl.files.size());
  for (const table::File& file : tmpl.files) {
    names_.push_back(owned_.emplace_back(file.name).c_str());
    texts_.push_back(owned_.emplace_back(file.text).c_str());
  }
}

std::size_t BareCompiler::compile(const Unit& unit) const {
  const std::string arch = "--gpu-architecture=" + unit.arch.text();
  std::vector<const char*> options{arch.c_str()};
  if (has_cache_) options.push_back("--no-cache");
  for (const std::string& option : unit.options) options.push_back(option.c_str());
  NvrtcProgram made = nullptr;
  nvrtc_.create(&made, unit.text.c_str(), "unit.cu", static_cast<int>(names_.size()), texts_.data(),
                names_.data());
  const NvrtcProgramOwner program(nvrtc_, made);
  if (nvrtc_.compile(program.get(), static_cast<int>(options.size()), options.data()) !=
      kNvrtcSuccess) {
    return 0;
  }
  std::size_t bytes = 0;
  nvrtc_.cubin_size(program.get(), &bytes);
  std::vector<char> cubin(bytes);
  return nvrtc_.cubin(program.get(), cubin.data()) == kNvrtcSuccess ? bytes : 0;
}

}  // namespace jit::inline v1
