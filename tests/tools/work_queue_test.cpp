#include "cubinet/precompile/work_queue.hpp"

#include <catch2/catch_test_macros.hpp>
#include <vector>

using jit::Loss;
using jit::WorkQueue;
using std::chrono::milliseconds;

namespace {

const WorkQueue::Time kNow{std::chrono::hours(1)};

std::size_t take(WorkQueue& queue) {
  const auto next = queue.take(kNow);
  REQUIRE(next.has_value());
  return next->order;
}

}  // namespace

TEST_CASE("orders go out in their sequence, and one may wait behind another while there are many") {
  WorkQueue queue(3);
  CHECK(queue.plenty(2));
  CHECK(take(queue) == 0);
  CHECK_FALSE(queue.plenty(2));
  CHECK(take(queue) == 1);
  CHECK(take(queue) == 2);
  CHECK_FALSE(queue.take(kNow));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_FALSE(queue.done());
    queue.finish(i);
  }
  CHECK(queue.done());
}

TEST_CASE("a crash or a timeout is tried once more, after the others and in a fresh process") {
  for (const Loss loss : {Loss::kCrashed, Loss::kTimedOut}) {
    WorkQueue queue(2);
    CHECK_FALSE(queue.take(kNow)->fresh);
    CHECK(queue.lose(0, loss));
    CHECK(queue.losses(0) == 1);
    CHECK(take(queue) == 1);
    const auto again = queue.take(kNow);
    REQUIRE(again.has_value());
    CHECK(again->order == 0);
    CHECK(again->fresh);
    CHECK_FALSE(again->alone);
    CHECK_FALSE(queue.lose(0, loss));
    queue.finish(1);
    CHECK(queue.done());
  }
}

TEST_CASE("a crash after a timeout is no third chance") {
  WorkQueue queue(1);
  take(queue);
  CHECK(queue.lose(0, Loss::kTimedOut));
  take(queue);
  CHECK_FALSE(queue.lose(0, Loss::kCrashed));
}

TEST_CASE("what memory ran out for is tried once more with nothing beside it") {
  WorkQueue queue(3);
  for (int i = 0; i < 3; ++i) take(queue);
  CHECK(queue.lose(0, Loss::kOutOfMemory));
  CHECK_FALSE(queue.take(kNow));  // 1 and 2 are out
  queue.finish(1);
  CHECK_FALSE(queue.take(kNow));
  CHECK(queue.lose(2, Loss::kCrashed));
  CHECK(take(queue) == 2);  // before what has to be alone
  CHECK_FALSE(queue.take(kNow));
  queue.finish(2);
  const auto alone = queue.take(kNow);
  REQUIRE(alone.has_value());
  CHECK(alone->alone);
  CHECK(alone->fresh);
  CHECK_FALSE(queue.take(kNow));
  CHECK_FALSE(queue.lose(0, Loss::kOutOfMemory));
  CHECK(queue.done());
}

TEST_CASE("what is killed from outside is tried again, from the third time on alone, 15 times") {
  WorkQueue queue(1);
  for (unsigned kill = 1; kill <= WorkQueue::kMaxKills; ++kill) {
    const auto next = queue.take(kNow);
    REQUIRE(next.has_value());
    CHECK(next->alone == (kill > 3));
    CHECK(queue.lose(0, Loss::kKilled) == (kill < WorkQueue::kMaxKills));
    CHECK(queue.losses(0) == kill);
  }
  CHECK(queue.done());
}

TEST_CASE("kills do not use up the second chance of a crash") {
  WorkQueue queue(1);
  take(queue);
  CHECK(queue.lose(0, Loss::kKilled));
  take(queue);
  CHECK(queue.lose(0, Loss::kCrashed));
  take(queue);
  CHECK(queue.lose(0, Loss::kKilled));
  take(queue);
  CHECK_FALSE(queue.lose(0, Loss::kCrashed));
}

TEST_CASE("an order that was not begun goes first again, and nothing is counted") {
  WorkQueue queue(3);
  CHECK(take(queue) == 0);
  CHECK(take(queue) == 1);
  queue.give_back(1);
  CHECK(queue.lose(0, Loss::kKilled));
  CHECK(queue.losses(1) == 0);
  CHECK(take(queue) == 1);
  CHECK(take(queue) == 2);
  CHECK(take(queue) == 0);
}

TEST_CASE("what another process is at is asked for again after the others, after a pause") {
  WorkQueue queue(2);
  CHECK(take(queue) == 0);
  queue.postpone(0, kNow);
  CHECK_FALSE(queue.due());
  CHECK(take(queue) == 1);
  REQUIRE(queue.due().has_value());
  CHECK(*queue.due() == kNow + WorkQueue::kPause);
  CHECK_FALSE(queue.take(kNow));
  CHECK(queue.take(kNow + WorkQueue::kPause)->order == 0);
  CHECK_FALSE(queue.due());
}

TEST_CASE("an order that has to be alone lets the others go on when another process is at it") {
  WorkQueue queue(1);
  take(queue);
  CHECK(queue.lose(0, Loss::kOutOfMemory));
  CHECK(queue.take(kNow)->alone);
  queue.postpone(0, kNow);
  CHECK(queue.take(kNow + milliseconds(100)).has_value());
  queue.finish(0);
  CHECK(queue.done());
}
