// paged_mqa_logits_metadata on the GPU, and what blocks without a schedule find by themselves.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "gpu/guarded_buffer.hpp"
#include "gpu/runtime_fixture.hpp"
#include "gpu/schedule_case.hpp"
#include "jit/kernels/paged_mqa_logits.hpp"
#include "load/graph.hpp"
#include "paged_mqa_logits_metadata/params.h"
#include "test_find_part/params.h"
#include "test_late_copy/params.h"

namespace jit::test {
namespace {

using Args = kernels::PagedMqaLogitsMetadataArgs;

// Between lengths that would show in the result if they were read.
std::vector<std::int32_t> between_huge(const std::vector<std::int32_t>& lens) {
  std::vector<std::int32_t> image(lens.size() + 64, std::numeric_limits<std::int32_t>::max());
  std::copy(lens.begin(), lens.end(), image.begin() + 32);
  return image;
}

std::vector<std::int32_t> numbers_in(const Image& image) {
  const auto bytes = image.payload();
  std::vector<std::int32_t> numbers(bytes.size() / sizeof(std::int32_t));
  std::copy(bytes.begin(), bytes.end(), std::as_writable_bytes(std::span(numbers)).begin());
  return numbers;
}

Args args_of(const ScheduleCase& given, const std::int32_t* lens, std::int32_t* schedule) {
  Args args;
  args.batch = given.batch;
  args.next_n = given.next_n;
  args.max_context_len = given.max_context_len;
  args.num_workers = given.num_workers;
  args.context_lens = lens;
  args.schedule = schedule;
  return args;
}

cubinet::paged_mqa_logits_metadata::Params params_of(const Args& args) {
  return {args.context_lens,
          args.schedule,
          static_cast<unsigned>(args.batch),
          static_cast<unsigned>(args.next_n),
          static_cast<unsigned>(args.max_context_len),
          static_cast<unsigned>(args.num_workers)};
}

// The operands of a case, outputs poisoned.
class ScheduleDevice {
 public:
  explicit ScheduleDevice(const ScheduleCase& given)
      : given_(given),
        lens_(DeviceBuffer::of<std::int32_t>(driver(), between_huge(given.context_lens))),
        schedule_(driver(), std::vector<std::byte>(
                                static_cast<std::size_t>(given.num_workers + 1) * 8, kPoison)) {
    synchronize(driver());
  }
  Args args() const {
    return args_of(given_, lens_.as<std::int32_t>() + 32, schedule_.as<std::int32_t>());
  }
  // Requires: the launch has ended.
  std::string wrong() const {
    const Image image = schedule_.download();
    const std::string damage = image.guard_damage();
    return damage.empty() ? wrong_with(given_, numbers_in(image)) : damage;
  }

 private:
  static constexpr std::byte kPoison{0xAA};
  ScheduleCase given_;
  DeviceBuffer lens_;
  GuardedBuffer schedule_;
};

TEST_CASE("schedules of every edge are right", "[metadata]") {
  RuntimeFixture fixture;
  const StreamOwner stream(fixture.gpu());
  for (const ScheduleCase& given : schedule_edges()) {
    for (const bool programmatic : {false, true}) {
      CAPTURE(given.text(), programmatic);
      const ScheduleDevice device(given);
      Args args = device.args();
      args.programmatic_dependent = programmatic;
      kernels::paged_mqa_logits_metadata(fixture.runtime(), args, stream.get());
      stream.synchronize();
      CHECK(device.wrong() == "");
    }
  }
  CHECK(fixture.runtime().stats().compiles == 4);  // two buckets, with and without
}

TEST_CASE("schedules of random batches are right, and nothing is compiled for them", "[metadata]") {
  RuntimeFixture fixture;
  const StreamOwner stream(fixture.gpu());
  std::vector<ScheduleCase> cases = random_schedules(run_seed(), 600, 3000);
  const std::vector<ScheduleCase> large = random_schedules(run_seed() + 1, 6, 100'000);
  cases.insert(cases.end(), large.begin(), large.end());
  for (const ScheduleCase& given : cases) {
    CAPTURE(given.text());
    const ScheduleDevice device(given);
    kernels::paged_mqa_logits_metadata(fixture.runtime(), device.args(), stream.get());
    stream.synchronize();
    CHECK(device.wrong() == "");
  }
  CHECK(fixture.runtime().stats().compiles == 2);
}

TEST_CASE("schedules are right with any number of threads", "[metadata]") {
  RuntimeFixture fixture;
  const std::vector<ScheduleCase> cases = random_schedules(run_seed() + 2, 30, 5000);
  for (const std::int64_t threads : {32, 64, 128, 256, 512, 1024}) {
    const Kernel kernel =
        fixture.runtime().get_kernel("paged_mqa_logits_metadata", {{"THREADS", threads}});
    for (const ScheduleCase& given : cases) {
      CAPTURE(given.text(), threads);
      const ScheduleDevice device(given);
      kernel.launch({1}, {static_cast<std::uint32_t>(threads)}, nullptr, params_of(device.args()));
      synchronize(fixture.gpu());
      CHECK(device.wrong() == "");
    }
  }
}

TEST_CASE("a schedule for all multiprocessors is for as many as there are", "[metadata]") {
  RuntimeFixture fixture;
  const StreamOwner stream(fixture.gpu());
  const ScheduleCase given{
      3, 1, 100'000, fixture.gpu().devices().front().sm_count, {9000, 0, 70'000}};
  const ScheduleDevice device(given);
  Args args = device.args();
  args.num_workers = 0;
  kernels::paged_mqa_logits_metadata(fixture.runtime(), args, stream.get());
  stream.synchronize();
  CHECK(device.wrong() == "");
}

TEST_CASE("blocks without a schedule find the parts that it would give them", "[metadata]") {
  RuntimeFixture fixture;
  std::vector<ScheduleCase> cases = random_schedules(run_seed() + 3, 40, 9000);
  const std::vector<ScheduleCase> edges = schedule_edges();
  cases.insert(cases.end(), edges.begin(), edges.end());
  for (const std::uint32_t threads : {32U, 96U, 384U, 1024U}) {
    const Kernel kernel =
        fixture.runtime().get_kernel("test_find_part", {{"THREADS", std::int64_t{threads}}});
    for (const ScheduleCase& given : cases) {
      CAPTURE(given.text(), threads);
      const ScheduleDevice device(given);
      const Args args = device.args();
      const auto workers = static_cast<std::uint32_t>(given.num_workers);
      const auto parts = DeviceBuffer::of<std::int32_t>(
          fixture.gpu(), std::vector<std::int32_t>(std::size_t{workers} * 8, -77));
      synchronize(fixture.gpu());
      kernel.launch(
          {workers}, {threads == 32 ? 128 : threads}, nullptr,
          cubinet::test_find_part::Params{
              args.context_lens, parts.as<std::int32_t>(), static_cast<unsigned>(args.batch),
              static_cast<unsigned>(args.next_n), static_cast<unsigned>(args.max_context_len), 0});
      synchronize(fixture.gpu());
      const std::vector<std::int32_t> found = parts.to_vector<std::int32_t>();
      const std::vector<std::int32_t> expected = reference::make_schedule(given.problem());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i] != expected[i / 8 * 2 + i % 4]) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a schedule is captured, and made anew for other lengths at every replay", "[metadata]") {
  RuntimeFixture fixture;
  const StreamOwner stream(fixture.gpu());
  ScheduleCase given = random_schedules(run_seed() + 4, 1, 500).front();
  auto lens = DeviceBuffer::of<std::int32_t>(fixture.gpu(), given.context_lens);
  const DeviceBuffer schedule(fixture.gpu(), static_cast<std::size_t>(given.num_workers + 1) * 8);
  synchronize(fixture.gpu());
  const Args args = args_of(given, lens.as<std::int32_t>(), schedule.as<std::int32_t>());
  StreamCapture capture(fixture.gpu(), stream.get());
  kernels::paged_mqa_logits_metadata(fixture.runtime(), args, stream.get());
  const GraphExec graph = capture.finish();
  for (int round = 0; round < 20; ++round) {
    std::rotate(given.context_lens.begin(), given.context_lens.begin() + 1,
                given.context_lens.end());
    given.context_lens.back() = 997 * round;
    lens.upload(std::as_bytes(std::span(given.context_lens)));
    synchronize(fixture.gpu());
    graph.launch(stream.get());
    stream.synchronize();
    CHECK(wrong_with(given, schedule.to_vector<std::int32_t>()) == "");
  }
}

// The lengths are written long after the scheduler was allowed to start.
TEST_CASE("a scheduler that starts early waits for the lengths", "[metadata][programmatic]") {
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  const Kernel late = fixture.runtime().get_kernel("test_late_copy", {});
  const StreamOwner stream(gpu);
  constexpr std::size_t kLinks = 100;
  std::vector<ScheduleCase> cases = random_schedules(run_seed() + 5, kLinks, 400);
  std::vector<DeviceBuffer> sources;
  std::vector<DeviceBuffer> schedules;
  std::size_t most = 0;
  for (const ScheduleCase& given : cases) {
    sources.push_back(DeviceBuffer::of<std::int32_t>(gpu, given.context_lens));
    schedules.emplace_back(gpu, static_cast<std::size_t>(given.num_workers + 1) * 8);
    most = std::max(most, given.context_lens.size());
  }
  const auto lens = DeviceBuffer::of<std::int32_t>(gpu, std::vector<std::int32_t>(most, 12'345));
  synchronize(gpu);
  for (std::size_t i = 0; i < kLinks; ++i) {
    LaunchConfig config{.grid = {1}, .block = {1024}, .stream = stream.get()};
    config.programmatic_dependent = true;
    late.launch(config, cubinet::test_late_copy::Params{
                            sources[i].as<std::int32_t>(), lens.as<std::int32_t>(),
                            static_cast<unsigned>(cases[i].context_lens.size()), 20'000});
    kernels::paged_mqa_logits_metadata(
        fixture.runtime(),
        args_of(cases[i], lens.as<std::int32_t>(), schedules[i].as<std::int32_t>()), stream.get());
  }
  stream.synchronize();
  for (std::size_t i = 0; i < kLinks; ++i) {
    CAPTURE(i, cases[i].text());
    CHECK(wrong_with(cases[i], schedules[i].to_vector<std::int32_t>()) == "");
  }
}

// The negative control: without its wait the same chain must go wrong.
TEST_CASE("a scheduler that does not wait reads lengths of before", "[metadata][programmatic]") {
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  const Kernel late = fixture.runtime().get_kernel("test_late_copy", {});
  const Kernel hasty = fixture.runtime().get_kernel(
      "paged_mqa_logits_metadata", {{"PROGRAMMATIC_DEPENDENT_LAUNCH", false}, {"THREADS", 256}});
  const StreamOwner stream(gpu);
  const ScheduleCase given{2, 1, 100'000, 132, {50'000, 20'000}};
  const auto source = DeviceBuffer::of<std::int32_t>(gpu, given.context_lens);
  const auto lens = DeviceBuffer::of<std::int32_t>(gpu, std::vector<std::int32_t>(2, 0));
  const DeviceBuffer schedule(gpu, 133 * 8);
  synchronize(gpu);
  LaunchConfig config{.grid = {1}, .block = {256}, .stream = stream.get()};
  config.programmatic_dependent = true;
  late.launch(config, cubinet::test_late_copy::Params{source.as<std::int32_t>(),
                                                      lens.as<std::int32_t>(), 2, 2'000'000});
  hasty.launch(config,
               params_of(args_of(given, lens.as<std::int32_t>(), schedule.as<std::int32_t>())));
  stream.synchronize();
  CHECK(wrong_with(given, schedule.to_vector<std::int32_t>()) != "");
}

}  // namespace
}  // namespace jit::test
