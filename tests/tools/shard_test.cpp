#include "cubinet/precompile/shard.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <set>

#include "cubinet/precompile/domain.hpp"
#include "cubinet/verb.hpp"
#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

using jit::Arch;
using jit::Domain;
using jit::KernelJob;
using jit::parse_shard;
using jit::Shard;
using jit::Signature;
using jit::take_shard;

namespace {

class TinyTemplate {
 public:
  const jit::table::Template& operator*() const { return tmpl_; }

 private:
  jit::TableArena arena_;
  jit::table::Template tmpl_ =
      jit::parse_manifest(jit::testing::kTinyManifest, "manifest.json", arena_);
};

std::vector<KernelJob> jobs_of(const jit::table::Template& tmpl) {
  std::vector<KernelJob> jobs;
  const Domain domain(tmpl, {{"ELEMENT_TYPE_OF_INPUT", "f32"}, {"FLAG", "false"}});
  domain.for_each([&](Signature&& signature) {
    for (const Arch arch : {Arch{9, 0, 'a'}, Arch{8, 0, 0}}) jobs.push_back({signature, arch});
    return true;
  });
  return jobs;
}

std::set<std::string> names_of(const std::vector<KernelJob>& jobs) {
  std::set<std::string> names;
  for (const KernelJob& job : jobs) names.insert(job.signature.text(job.arch));
  return names;
}

}  // namespace

TEST_CASE("shards are disjoint, whole together and of one size, in whatever order the list is") {
  const TinyTemplate tiny;
  const std::vector<KernelJob> jobs = jobs_of(*tiny);
  std::vector<KernelJob> shuffled = jobs;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(7));
  const std::set<std::string> all = names_of(jobs);
  REQUIRE(all.size() == jobs.size());
  for (const std::size_t count : {1U, 2U, 3U, 7U, 64U}) {
    CAPTURE(count);
    std::set<std::string> together;
    std::size_t sum = 0;
    for (std::size_t index = 1; index <= count; ++index) {
      const std::vector<KernelJob> part = take_shard(jobs, {index, count});
      CHECK(part.size() >= jobs.size() / count);
      CHECK(part.size() <= (jobs.size() + count - 1) / count);
      const std::set<std::string> names = names_of(part);
      CHECK(names == names_of(take_shard(shuffled, {index, count})));
      together.insert(names.begin(), names.end());
      sum += part.size();
    }
    CHECK(sum == jobs.size());
    CHECK(together == all);
  }
}

TEST_CASE("every shard gets its part of each architecture and of each bucket") {
  const TinyTemplate tiny;
  const std::vector<KernelJob> jobs = jobs_of(*tiny);
  const std::vector<KernelJob> part = take_shard(jobs, {2, 4});
  std::map<std::string, std::size_t> by_arch;
  std::map<std::string, std::size_t> by_threads;
  for (const KernelJob& job : part) {
    ++by_arch[job.arch.text()];
    const std::string text = job.signature.text();
    ++by_threads[text.substr(text.find("THREADS="))];
  }
  CHECK(by_arch.at("sm_80") + by_arch.at("sm_90a") == part.size());
  CHECK(by_arch.at("sm_80") <= by_arch.at("sm_90a") + 1);
  CHECK(by_arch.at("sm_90a") <= by_arch.at("sm_80") + 1);
  CHECK(by_threads.size() >= 3);
}

TEST_CASE("more shards than kernels leave some with nothing") {
  const TinyTemplate tiny;
  std::vector<KernelJob> one = jobs_of(*tiny);
  one.erase(one.begin() + 1, one.end());
  CHECK(take_shard(one, {1, 3}).size() == 1);
  CHECK(take_shard(one, {3, 3}).empty());
}

TEST_CASE("a shard is spelled i/n") {
  CHECK(parse_shard("2/8").index == 2);
  CHECK(parse_shard("2/8").count == 8);
  for (const char* text : {"", "2", "0/8", "9/8", "a/8", "1/", "/8", "1/8x", "-1/8", "1/0"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_shard(text), jit::UsageError);
  }
}
