#include "cubinet/precompile/shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "cubinet/verb.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {
namespace {

bool read_number(std::string_view text, std::size_t& value) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && rest == text.data() + text.size();
}

struct Place {
  std::string_view name;
  Arch arch;
  std::string digest;  // so that neighbours, which often cost alike, are dealt apart
  std::size_t job;

  auto order() const { return std::tie(name, arch, digest); }
};

}  // namespace

Shard parse_shard(const std::string& text) {
  Shard shard;
  const std::size_t slash = text.find('/');
  const std::string_view words = text;
  const bool fine = slash != std::string::npos &&
                    read_number(words.substr(0, slash), shard.index) &&
                    read_number(words.substr(slash + 1), shard.count) && shard.index >= 1 &&
                    shard.index <= shard.count;
  if (!fine) {
    throw UsageError(fmt::format("--shard {}: expected i/n with i from 1 to n, such as 2/8", text));
  }
  return shard;
}

std::vector<KernelJob> take_shard(std::vector<KernelJob> jobs, const Shard& shard) {
  if (shard.count == 1) return jobs;
  std::vector<Place> places;
  places.reserve(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const KernelJob& job = jobs[i];
    const std::string text = fmt::format("{} {}", job.signature.text(job.arch), name_of(job.debug));
    places.push_back({job.signature.tmpl->name, job.arch, to_hex(sha256(text)), i});
  }
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return a.order() < b.order(); });
  std::vector<std::size_t> chosen;
  for (std::size_t i = shard.index - 1; i < places.size(); i += shard.count) {
    chosen.push_back(places[i].job);
  }
  std::sort(chosen.begin(), chosen.end());  // the list's own sequence
  std::vector<KernelJob> part;
  part.reserve(chosen.size());
  for (const std::size_t i : chosen) part.push_back(std::move(jobs[i]));
  return part;
}

}  // namespace jit::inline v1
