#include "signature/template_directory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/environment.hpp"
#include "base/file.hpp"
#include "jit/error.hpp"
#include "signature/bundle.hpp"
#include "signature/manifest.hpp"
#include "signature/tuning_folder.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> toolkit_roots(const fs::path& cuda_home) {
  fs::path home = cuda_home;
  if (home.empty()) home = get_env("CUDA_HOME").value_or("");
  if (home.empty()) home = get_env("CUDA_PATH").value_or("");
  if (home.empty()) home = "/usr/local/cuda";
  return {home / "include", home / "include" / "cccl"};
}

}  // namespace

table::Template read_template(const fs::path& folder, const TemplateContext& context,
                              TableArena& arena) {
  const fs::path manifest = folder / kManifestName;
  int error = 0;
  const auto json = read_file(manifest, kMaxFileBytes, &error);
  if (!json) {
    throw Error(ErrorCode::kIo, fmt::format("read manifest {}: {}; give a folder that holds one",
                                            manifest.string(), error_text(error)));
  }
  table::Template tmpl = parse_manifest(*json, manifest.string(), arena);
  const fs::path name = fs::absolute(folder).lexically_normal();
  const fs::path last = name.filename().empty() ? name.parent_path().filename() : name.filename();
  if (last.string() != tmpl.name) {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("read manifest {} at /name: \"{}\" differs from its folder's name; "
                            "rename one of them",
                            manifest.string(), tmpl.name));
  }
  BundleSources sources;
  sources.root = name.filename().empty() ? name.parent_path().parent_path() : name.parent_path();
  sources.shipped = context.shipped_headers;
  sources.extra_roots = context.extra_roots;
  sources.toolkit_headers = parse_toolkit_headers(*json, manifest.string());
  sources.toolkit_roots = toolkit_roots(context.cuda_home);
  tmpl.files = make_bundle(tmpl.entry_include, sources, arena);
  tmpl.bundle_sha256 = digest_of(tmpl.files);
  tmpl.tuning_records = read_tuning_folder(folder / kTuningFolder, tmpl, arena);
  return tmpl;
}

std::vector<fs::path> find_templates(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> folders;
  fs::directory_iterator entries(directory, error);
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("read templates below {}: {}; give a folder of template folders",
                            directory.string(), error.message()));
  }
  for (const fs::directory_entry& entry : entries) {
    if (fs::exists(entry.path() / kManifestName, error)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace jit::inline v1
