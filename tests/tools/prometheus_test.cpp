// Metrics that Prometheus takes, of a cache that commands have used.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "cache/statistics_file.hpp"
#include "cache/statistics_names.hpp"
#include "tools/command_fixture.hpp"
#include "tools/prometheus_grammar.hpp"

using namespace jit;
using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::parse_exposition;

namespace {

// A process that has counted, and ended.
void count(const CommandFixture& fixture, const Counts& counts) {
  const Directory directory({.root = fixture.cache()});
  StatisticsFile file(directory);
  REQUIRE(file.write(counts) == 0);
}

Histogram histogram_with(std::initializer_list<std::pair<std::size_t, std::uint64_t>> buckets) {
  Histogram histogram;
  for (const auto& [bucket, values] : buckets) histogram.buckets.at(bucket) = values;
  return histogram;
}

}  // namespace

TEST_CASE("the grammar of metrics takes no lie") {
  const std::string good =
      "# HELP a_total What.\n# TYPE a_total counter\na_total{x=\"1\\\\2\\\"\\n\"} 3\n";
  CHECK(parse_exposition(good).at("a_total").samples.size() == 1);
  const std::string histogram = "# HELP h What.\n# TYPE h histogram\n";
  for (const std::string& bad : {
           std::string("a_total 3\n"),
           good + "a_total{x=\"1\\\\2\\\"\\n\"} 4\n",
           good + good,
           std::string("# HELP a What.\n# TYPE a counter\na 3\n"),
           std::string("# HELP a What.\n# TYPE a gauge\na{x=\"\"\"} 3\n"),
           std::string("# HELP a What.\n# TYPE a gauge\na 3"),
           histogram + "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n",
           histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n",
           histogram + "h_bucket{le=\"1\"} 1\nh_count 1\n",
           histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
       }) {
    CAPTURE(bad);
    CHECK_THROWS(parse_exposition(bad));
  }
}

TEST_CASE("metrics of an empty cache are zeros, and metrics all the same") {
  const CommandFixture fixture;
  const CommandResult result = fixture.run({"cache", "stats", "--prometheus"});
  REQUIRE(result.code == 0);
  const auto families = parse_exposition(result.out);
  CHECK(families.at("cubinet_compile_seconds").samples.size() == 34);
  for (const auto& [name, family] : families) {
    CAPTURE(name);
    for (const auto& [key, value] : family.samples) CHECK(value == 0);
  }
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("metrics say what commands did, in seconds and bytes") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90"}).code == 0);
  REQUIRE(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90"}).code == 0);
  const auto families = parse_exposition(fixture.run({"cache", "stats", "--prometheus"}).out);
  const std::string cache = "{cache=\"" + fixture.cache().string() + "\"";
  const auto value = [&](const std::string& family, const std::string& rest = "}",
                         const std::string& suffix = "") {
    return families.at(family).samples.at(family + suffix + cache + rest);
  };
  CHECK(value("cubinet_hits_total", ",tier=\"directory\"}") == 3);
  CHECK(value("cubinet_misses_total", ",reason=\"absent\"}") == 3);
  CHECK(value("cubinet_compiles_total") == 3);
  CHECK(value("cubinet_compile_seconds", "}", "_count") == 3);
  CHECK(value("cubinet_compile_seconds", "}", "_sum") > 0.001);
  CHECK(value("cubinet_compile_seconds", "}", "_sum") < 60);
  CHECK(value("cubinet_compile_seconds", ",le=\"0.000001\"}", "_bucket") == 0);
  CHECK(value("cubinet_compile_seconds", ",le=\"1073.741824\"}", "_bucket") == 3);
  CHECK(value("cubinet_saved_seconds_total") == value("cubinet_compile_seconds", "}", "_sum"));
  CHECK(value("cubinet_cache_entries") == 3);
  CHECK(value("cubinet_cache_bytes") > 1000);
}

TEST_CASE("paths and names that need it are escaped") {
  CommandFixture fixture;
  const std::string odd = (fixture.folder() / "a\"b\\c\nd").string();
  fixture.environment["CUBINET_CACHE_DIR"] = odd;
  const CommandResult result = fixture.run({"cache", "stats", "--prometheus"});
  REQUIRE(result.code == 0);
  CHECK(result.out_has("a\\\"b\\\\c\\nd\"} 0\n"));
  CHECK(parse_exposition(result.out).contains("cubinet_compiles_total"));
}

TEST_CASE("histograms and buckets of all processes are added up and shown three ways") {
  const CommandFixture fixture;
  Counts counts;
  Histogram compile = histogram_with({{16, 6}, {17, 3}, {20, 1}});
  compile.sum = 1'000'000;
  add_histogram(counts, {"compile_us", compile});
  add_histogram(counts, {"lock_wait_us", histogram_with({{Histogram::kBuckets - 1, 2}})});
  add_histogram(counts, {"cubin_bytes", histogram_with({{15, 4}})});
  add_buckets(counts, {{"merge_attn_states", "phase", "decode", 100},
                       {"Mine", "phase", "prefill", 7},
                       {std::string(64, 'x'), "phase", "prefill", 7}});
  count(fixture, counts);
  count(fixture, counts);
  const auto json = fixture.run({"cache", "stats", "--json"}).json();
  const auto& spread = json.at("histograms").at("compile_us");
  CHECK(spread.at("count") == 20);
  CHECK(spread.at("sum") == 2'000'000);
  CHECK(spread.at("p50") == 65536);
  CHECK(spread.at("p90") == 131072);
  CHECK(spread.at("max") == 1048576);
  CHECK(spread.at("buckets").at(1).at("le") == 131072);
  CHECK(spread.at("buckets").at(1).at("count") == 6);
  CHECK(json.at("histograms").at("lock_wait_us").at("max").is_null());
  CHECK(json.at("histograms").at("miss_us").at("count") == 0);
  REQUIRE(json.at("buckets").size() == 2);
  CHECK(json.at("buckets").at(1).at("template") == "mine");
  CHECK(json.at("buckets").at(0).at("requests") == 200);
  const CommandResult text = fixture.run({"cache", "stats"});
  for (const char* part : {"compile ", " 65.5 ms ", " 131 ms ", " 1.05 s", " more"}) {
    CAPTURE(part);
    CHECK(text.out_has(part));
  }
  CHECK(text.out_has("32.0 KiB"));
  CHECK(text.out_has("decode        200\n"));
  const auto families = parse_exposition(fixture.run({"cache", "stats", "--prometheus"}).out);
  const std::string cache = "{cache=\"" + fixture.cache().string() + "\",";
  CHECK(families.at("cubinet_compile_seconds")
            .samples.at("cubinet_compile_seconds_bucket" + cache + "le=\"0.131072\"}") == 18);
  CHECK(families.at("cubinet_lock_wait_seconds")
            .samples.at("cubinet_lock_wait_seconds_bucket" + cache + "le=\"1073.741824\"}") == 0);
  CHECK(families.at("cubinet_bucket_requests_total")
            .samples.at("cubinet_bucket_requests_total" + cache +
                        "template=\"merge_attn_states\",bucket=\"phase\",step=\"decode\"}") == 200);
}

TEST_CASE("one way of printing at a time") {
  const CommandFixture fixture;
  CHECK(fixture.run({"cache", "stats", "--prometheus", "--json"}).code == 2);
  CHECK(fixture.run({"cache", "stats", "--prometheus", "--reset"}).code == 2);
}
