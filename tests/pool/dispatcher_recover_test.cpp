// Deaths of workers at every point: every task is answered exactly once.
#include <gtest/gtest.h>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

// Pool of one worker with five tasks in its ring, in one frame or in five.
class DispatcherDeath : public ::testing::TestWithParam<bool> {
 protected:
  DispatcherDeath() : rig({.processes = 1, .cpus = 1}) {}

  void give() {
    rig.prepare(job);
    job.known->task_ns = 1'000;
    if (GetParam()) {
      rig.dispatcher->accept(parcel_of(job, 0, texts(5)));
    } else {
      for (std::size_t i = 0; i < 5; ++i) rig.dispatcher->accept(parcel_of(job, i, {texts(5)[i]}, i == 4));
    }
    rig.settle();
  }
  FakeWorker& worker() { return rig.worker(0); }
  void begin() {
    if (!frame || next == frame->items.size()) {
      frame = worker().next_tasks();
      next = 0;
    }
    ++next;
    ASSERT_TRUE(worker().take());
  }
  void die(int code = -9) {
    rig.backend.die(0, code);
    frame.reset();
    rig.dispatcher->look_after_workers();
  }
  void expect(std::set<std::uint64_t> died) {
    rig.finish();
    EXPECT_EQ(job.indices_of<WorkerDied>(), died);
    EXPECT_EQ(job.values.size(), 5 - died.size());
    EXPECT_EQ(job.answers(), 5U);
    EXPECT_EQ(job.ended, 1U);
    EXPECT_TRUE(rig.dispatcher->quiet());
  }

  Rig rig;
  NotingJob job;
  std::optional<Frame> frame;
  std::size_t next = 0;
};

TEST_P(DispatcherDeath, BeforeItWasReady) {
  rig.start();
  give();
  die();
  EXPECT_EQ(job.answers(), 0U);
  expect({});
}

TEST_P(DispatcherDeath, BeforeItTookATask) {
  rig.start();
  give();
  frame = worker().next_tasks();
  die();
  expect({});
}

TEST_P(DispatcherDeath, AfterItTookATask) {
  rig.start();
  give();
  begin();
  die();
  EXPECT_EQ(job.answers(), 1U) << "the death is answered at once";
  expect({0});
}

TEST_P(DispatcherDeath, AfterItAnswered) {
  rig.start();
  give();
  begin();
  worker().answer("done");
  die();
  EXPECT_EQ(job.values[0], "done");
  expect({});
}

TEST_P(DispatcherDeath, InTheThirdTask) {
  rig.start();
  give();
  for (const char* value : {"a", "b"}) {
    begin();
    worker().answer(value);
  }
  begin();
  die();
  expect({2});
}

TEST_P(DispatcherDeath, InTheLastTask) {
  rig.start();
  give();
  for (int i = 0; i < 4; ++i) {
    begin();
    worker().answer("x");
  }
  begin();
  die();
  expect({4});
}

TEST_P(DispatcherDeath, AfterTheLastTask) {
  rig.start();
  give();
  for (int i = 0; i < 5; ++i) {
    begin();
    worker().answer("x");
  }
  die();
  expect({});
}

TEST_P(DispatcherDeath, InTheMiddleOfALargeResult) {
  rig.start();
  give();
  begin();
  worker().put_word(wire::pack_record(RecordStatus::value, 1, 500'000));
  rig.settle();
  const std::string part(60'000, 'p');
  worker().put_bytes(part.data(), part.size());
  rig.settle();
  die();
  expect({0});
}

TEST_P(DispatcherDeath, TheErrorSaysWhoAndHow) {
  rig.start();
  give();
  begin();
  worker().answer("x");
  begin();
  die(3);
  try {
    std::rethrow_exception(job.errors.at(1));
  } catch (const WorkerDied& died) {
    EXPECT_EQ(died.pid(), FakeBackend::pid_of(0));
    EXPECT_EQ(died.exitcode(), 3);
    EXPECT_EQ(died.signal(), 0);
    EXPECT_EQ(died.task_index(), 1U);
  }
}

TEST_P(DispatcherDeath, RetriesAreForTheTaskThatDied) {
  job.retries = 2;
  rig.start();
  give();
  for (int death = 0; death < 3; ++death) {
    begin();
    const bool last = death == 2;
    die();
    EXPECT_EQ(job.answers(), last ? 1U : 0U);
    while (!rig.backend.workers.contains(0)) rig.dispatcher->look_after_workers();
    rig.settle();
  }
  expect({0});
  EXPECT_EQ(rig.dispatcher->workers()[0]->restarts, 3U);
}

TEST_P(DispatcherDeath, ARetryThatSucceeds) {
  job.retries = 1;
  rig.start();
  give();
  begin();
  die();
  expect({});
}

// Nobody wants its answers any more.
TEST_P(DispatcherDeath, AfterTheJobWasAbandoned) {
  rig.start();
  give();
  begin();
  rig.dispatcher->abandon(job);
  EXPECT_EQ(rig.dispatcher->outstanding(), 0U);
  EXPECT_FALSE(rig.dispatcher->quiet()) << "the worker is still at it";
  die();
  EXPECT_EQ(job.answers(), 0U);
  EXPECT_TRUE(rig.dispatcher->quiet());
  NotingJob after;
  rig.submit(after, texts(3));
  rig.finish();
  EXPECT_EQ(after.values.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Frames, DispatcherDeath, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "One" : "Five"; });

}  // namespace
}  // namespace brood::engine::testing
