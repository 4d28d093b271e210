#include "cubinet/tune/record_output.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "jit/error.hpp"
#include "signature/tuning_record_text.hpp"
#include "support/temporary_directory.hpp"
#include "tools/report_records.hpp"

namespace jit::test {
namespace {

using testing::merge_record;
using testing::read_text;

TuningRecord record_of(int number) {
  TuningRecord record = merge_record("decode");
  record.device.multiprocessors = static_cast<std::uint32_t>(1 + number);
  return record;
}

TEST_CASE("processes that merge records into one file at once lose none of them", "[tools]") {
  const testing::TemporaryDirectory folder;
  const std::filesystem::path file = folder / "all.jsonl";
  constexpr int kProcesses = 8;
  constexpr int kEach = 5;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0; i < kEach; ++i) {
        const TuningRecord record = record_of(process * kEach + i);
        merge_into(file, {&record, 1});
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const auto lines = parse_tuning_records(read_text(file), "all.jsonl");
  CHECK(lines.size() == kProcesses * kEach);
  for (const TuningLine& line : lines) CHECK(line.why.empty());
  // Again, the same bytes.
  const std::string before = read_text(file);
  const TuningRecord record = record_of(3);
  merge_into(file, {&record, 1});
  CHECK(read_text(file) == before);
}

TEST_CASE("a record that lost its evidence is not written over", "[tools]") {
  const testing::TemporaryDirectory folder;
  std::string line = record_of(1).text();
  line.replace(line.find("\"winner\":"), 9, "\"winner\":99");
  const std::filesystem::path file = folder.write("all.jsonl", line + "\n");
  CHECK_THROWS_AS(check_record_output(file), Error);
  CHECK(read_text(file) == line + "\n");
  CHECK_NOTHROW(check_record_output(folder / "none.jsonl"));
  CHECK_FALSE(std::filesystem::exists(folder / "none.jsonl"));
}

}  // namespace
}  // namespace jit::test
