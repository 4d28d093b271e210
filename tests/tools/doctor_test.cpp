#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "cache/layout.hpp"
#include "support/paths.hpp"
#include "tools/command_fixture.hpp"

using jit::kFormatDirectory;
using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

bool has_problem(const json& report, const std::string& part) {
  for (const json& problem : report.at("problems")) {
    if (problem.at("what").get<std::string>().find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("doctor finds the compiler, misses the driver, and is content") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult text = fixture.run({"doctor"});
  INFO(text.out << text.err);
  CHECK(text.code == 0);
  CHECK(text.out_has("libnvrtc.so"));
  CHECK(text.out_has("does not exist yet"));
  CHECK(text.out_has("CUBINET_TEMPLATE_PATH="));
  const json report = fixture.run({"doctor", "--json"}).json();
  CHECK(report.at("ok") == true);
  CHECK(report.at("nvrtc").at("found") == true);
  CHECK_FALSE(report.at("nvrtc").at("release").get<std::string>().empty());
  CHECK(report.at("driver").at("found") == false);
  CHECK(report.at("gpus").empty());
  CHECK(report.at("cache").at("path") == fixture.cache().string());
  CHECK(report.at("cache").at("usable") == true);
  CHECK(report.at("cache").at("free_bytes") > 0);
  CHECK(report.at("problems").empty());
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("doctor lists every place where NVRTC was looked for, and fails") {
  CommandFixture fixture;
  fixture.environment["CUBINET_NVRTC"] = fixture.environment.at("HOME");
  const CommandResult text = fixture.run({"doctor"});
  CHECK(text.code == 1);
  CHECK(text.out_has("not found; tried:"));
  CHECK(text.out_has("no libnvrtc"));
  const json report = fixture.run({"doctor", "--json"}).json();
  CHECK(report.at("ok") == false);
  CHECK(report.at("nvrtc").at("found") == false);
  CHECK_FALSE(report.at("nvrtc").at("tried").empty());
  CHECK(has_problem(report, "NVRTC"));
}

TEST_CASE("doctor says in words where NVRTC came from") {
  CommandFixture fixture;
  const json found = fixture.run({"doctor", "--json"}).json().at("nvrtc");
  const std::string from = found.at("from");
  CHECK(fixture.run({"doctor"}).out_has("from " + from));
  if (found.at("wheel").is_null()) {
    CHECK(from.find(" in /") != std::string::npos);
  } else {
    CHECK(from.starts_with("NVIDIA's Python wheel nvidia-cuda-nvrtc"));
    CHECK(from.find(found.at("wheel").at("version").get<std::string>() + " below /") !=
          std::string::npos);
  }
}

TEST_CASE("doctor tells the order in which NVRTC is looked for") {
  const CommandResult help = CommandFixture().run({"doctor", "--help"});
  for (const char* words : {"1. what CUBINET_NVRTC names", "CUDA_HOME", "beside cubinet",
                            "/usr/local/cuda*", "$VIRTUAL_ENV"}) {
    CHECK(help.out_has(words));
  }
}

TEST_CASE("doctor names a compiler that is newer than the driver") {
  CommandFixture fixture;
  const json nvrtc = fixture.run({"doctor", "--json"}).json().at("nvrtc");
  const std::string release = nvrtc.at("release");
  const int major = std::stoi(release);
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_VERSION"] = std::to_string(major * 1000 - 10);
  const json passed_over = fixture.run({"doctor", "--json"}).json();
  if (!fixture.environment.contains("CUBINET_NVRTC")) {
    CHECK(has_problem(passed_over, ".so." + std::to_string(major) +
                                       " is newer than the driver, which takes CUDA " +
                                       std::to_string(major - 1)));
  }
  fixture.environment["CUBINET_NVRTC"] = nvrtc.at("path");
  const json named = fixture.run({"doctor", "--json"}).json();
  CHECK(named.at("ok") == true);
  CHECK(has_problem(named, "nvrtc " + release + ", which CUBINET_NVRTC names, is newer"));
}

TEST_CASE("doctor describes the GPUs that the driver knows") {
  CommandFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0,8.0";
  const json report = fixture.run({"doctor", "--json"}).json();
  CHECK(report.at("driver").at("found") == true);
  CHECK(report.at("driver").at("path") == jit::testing::kFakeCudaPath);
  REQUIRE(report.at("gpus").size() == 2);
  CHECK(report.at("gpus").at(0).at("capability") == "9.0");
  CHECK(report.at("gpus").at(0).at("arch") == "sm_90a");
  CHECK(report.at("gpus").at(1).at("arch") == "sm_80");
  CHECK(fixture.run({"doctor"}).out_has("compute capability 8.0"));
}

TEST_CASE("doctor says what is wrong with the cache directory") {
  CommandFixture fixture;
  std::filesystem::create_directory(fixture.cache());
  REQUIRE(::chmod(fixture.cache().c_str(), 0777) == 0);
  const CommandResult text = fixture.run({"doctor"});
  CHECK(text.code == 1);
  CHECK(text.out_has("mode 0777"));
  CHECK(text.out_has("wrong: the cache is not used"));
  fixture.environment["CUBINET_CACHE_DIR"] = "none";
  CHECK(has_problem(fixture.run({"doctor", "--json"}).json(), "memory only"));
}

TEST_CASE("doctor is content with a frozen process that has its packs, and not without them") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run({"precompile", "tiny", "--preset", "small", "--arch", "sm_90a"}).code == 0);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  fixture.environment["CUBINET_MODE"] = "frozen";
  fixture.environment["CUBINET_CACHE_DIR"] = "none";
  fixture.environment["CUBINET_NVRTC"] = "/nowhere";
  CHECK(fixture.run({"doctor"}).out_has("neither directory nor pack"));
  CHECK(fixture.run({"doctor"}).code == 1);
  fixture.environment["CUBINET_PACKS"] = pack;
  const CommandResult fine = fixture.run({"doctor"});
  INFO(fine.out);
  CHECK(fine.code == 0);
  CHECK_FALSE(fine.out_has("wrong:"));
  fixture.environment["CUBINET_PACKS"] = pack + "s";
  const CommandResult missing = fixture.run({"doctor"});
  CHECK(missing.code == 1);
  CHECK(missing.out_has("wrong: read pack"));
}

TEST_CASE("doctor notices variables that nothing reads or that cannot be right") {
  CommandFixture fixture;
  fixture.environment["CUBINET_CACHEDIR"] = "/x";
  fixture.environment["CUBINET_RECORD"] = "/dev/null";
  const json typo = fixture.run({"doctor", "--json"}).json();
  CHECK(typo.at("ok") == true);
  CHECK(has_problem(typo, "CUBINET_CACHEDIR"));
  CHECK_FALSE(has_problem(typo, "CUBINET_RECORD"));
  fixture.environment["CUBINET_MODE"] = "sometimes";
  const CommandResult wrong = fixture.run({"doctor", "--json"});
  CHECK(wrong.code == 1);
  CHECK(has_problem(wrong.json(), "CUBINET_MODE"));
  CHECK(wrong.json().at("environment").at("CUBINET_MODE") == "sometimes");
}

TEST_CASE("doctor says what the cache lies on, where its locks are, and whom it trusts") {
  CommandFixture fixture;
  const json local = fixture.run({"doctor", "--json"}).json().at("cache");
  CHECK(local.at("locks_in_cache") == true);
  CHECK(local.at("locks") == (fixture.cache() / kFormatDirectory).string());
  CHECK(local.at("file_system").is_string());
  CHECK(local.at("trust_group") == false);
  CHECK(fixture.run({"doctor"}).out_has("locks work there; the group is not trusted"));
  fixture.environment["CUBINET_TRUST"] = "group";
  CHECK(fixture.run({"doctor", "--json"}).json().at("cache").at("trust_group") == true);
  CHECK(fixture.run({"doctor"}).out_has("the group is trusted"));
}

TEST_CASE("doctor says that locks of a cache on the network are on this node, and where") {
  CommandFixture fixture;
  const std::filesystem::path run = fixture.folder() / "run";
  std::filesystem::create_directory(run);
  fixture.environment["XDG_RUNTIME_DIR"] = run.string();
  fixture.environment["LD_PRELOAD"] = jit::testing::kFakeFileSystemPath;
  fixture.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0";
  fixture.environment["FAKE_FILE_SYSTEM_BELOW"] = fixture.cache().string();
  std::filesystem::create_directory(fixture.cache());
  REQUIRE(::chmod(fixture.cache().c_str(), 0700) == 0);
  const auto report_on = [&](const char* type) {
    fixture.environment["FAKE_FILE_SYSTEM_TYPE"] = type;
    return fixture.run({"doctor", "--json"}).json();
  };
  const json nfs = report_on("0x6969").at("cache");
  CHECK(nfs.at("file_system") == "nfs");
  CHECK(nfs.at("locks_in_cache") == false);
  CHECK(nfs.at("locks") == (run / "cubinet").string());
  CHECK(fixture.run({"doctor"}).out_has("on nfs; locks are on this node, in " + run.string()));
  CHECK(std::filesystem::is_empty(run));
  CHECK(std::filesystem::is_empty(fixture.cache()));
  CHECK(report_on("0xff534d42").at("cache").at("file_system") == "cifs");
  CHECK(report_on("0x1234abcd").at("cache").at("file_system") == "0x1234abcd");
  // That is also where they go.
  add_tiny_template(fixture);
  const std::vector<std::string> words = {"precompile", "tiny", "--all-presets", "--arch", "sm_90"};
  REQUIRE(fixture.run(words).code == 0);
  CHECK(std::filesystem::exists(run / "cubinet/locks"));
  CHECK_FALSE(std::filesystem::exists(fixture.cache() / kFormatDirectory / "locks"));
  // No place anywhere is worth a note, and no failure.
  fixture.environment["FAKE_FILE_SYSTEM_BELOW"] = "/";
  const json nowhere = report_on("0x6969");
  CHECK(nowhere.at("ok") == true);
  CHECK(nowhere.at("cache").at("locks").is_null());
  CHECK(has_problem(nowhere, "no local place for its locks"));
}

TEST_CASE("doctor names tuning records that no process can read, and tuning that cannot be kept") {
  CommandFixture fixture;
  const std::string missing = fixture.environment.at("HOME") + "/none.jsonl";
  fixture.environment["CUBINET_TUNING_FILES"] = missing;
  const json report = fixture.run({"doctor", "--json"}).json();
  CHECK(report.at("ok") == true);
  CHECK(has_problem(report, "CUBINET_TUNING_FILES names " + missing + ": no such file"));
  CHECK(report.at("problems").size() == 1);

  fixture.environment["CUBINET_TUNING_FILES"] = jit::testing::kFakeCudaPath;  // one that is there
  fixture.environment["CUBINET_TUNING"] = "on_miss";
  fixture.environment["CUBINET_TUNING_BUDGET_MS"] = "100";
  CHECK(fixture.run({"doctor", "--json"}).json().at("problems").empty());
  fixture.environment["CUBINET_MODE"] = "readonly";
  CHECK(has_problem(fixture.run({"doctor", "--json"}).json(), "on_miss tunes nothing"));
}
