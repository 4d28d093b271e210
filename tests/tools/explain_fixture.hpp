// A cache with one entry of the tiny template, and what `cubinet explain` says of it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/entry.hpp"
#include "tools/command_fixture.hpp"

namespace jit::testing {

class ExplainFixture : public CommandFixture {
 public:
  // Compiles tiny[SIZE=128, everything else as its defaults are] for sm_90a.
  // From a pack: `explain` makes one of the cache each time, and asks that alone.
  enum class From { kDirectory, kPack };
  explicit ExplainFixture(From from = From::kDirectory);

  // What `explain tiny SIZE=128 --size num_tokens=17 --arch sm_90a` with these words more says;
  // a constant, size or architecture given there stands in place of the same here.
  nlohmann::json explain(const std::vector<std::string>& more = {}) const;

  // The one entry there is.
  std::filesystem::path entry_path() const;
  // Puts another entry in its place.
  void replace_entry(const std::function<void(Entry&)>& change) const;
  // Writes the template anew with every `from` replaced, in the manifest or in the device code.
  void edit_manifest(std::string_view from, std::string_view to) const;
  void edit_code(std::string_view from, std::string_view to) const;
  // An NVRTC of that version that is not to be loaded: "12.9.86".
  void use_fake_nvrtc(const std::string& version);
  // The version of the NVRTC that made the entry.
  std::string nvrtc_version() const;

  // Every file below the folder but stdout and stderr, with what would change if it were touched.
  std::string listing() const;

  std::filesystem::path pack() const { return folder() / "a.cupack"; }
  // "directory" or "pack"
  std::string tier() const { return from_ == From::kPack ? "pack" : "directory"; }

 private:
  From from_;
};

// The texts of the differences of the nearest entry.
std::vector<std::string> differences_in(const nlohmann::json& told);

}  // namespace jit::testing
