// Starts that fail, come late, or fail again and again.
#include <gtest/gtest.h>

#include <cerrno>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

using Kind = WorkerEvent::Kind;

TEST(DispatcherStart, AWorkerThatCouldNotBeStartedIsTriedAgain) {
  Rig rig({.processes = 2});
  rig.backend.start_errors = {EAGAIN, 0, EMFILE, ENOMEM, 0};
  rig.start();
  EXPECT_EQ(rig.backend.starts, 2U);
  NotingJob job;
  rig.submit(job, texts(10));
  rig.finish();
  EXPECT_EQ(job.values.size(), 10U);
  EXPECT_EQ(rig.backend.starts, 5U);
  EXPECT_FALSE(rig.dispatcher->broken());
}

TEST(DispatcherStart, NotStartedIsTriedAgain) {
  Rig rig({.processes = 1});
  rig.backend.tells_starts = false;
  rig.dispatcher->start();
  NotingJob job;
  rig.submit(job, texts(3));
  rig.settle();
  rig.backend.tell(Kind::not_started, 0, EAGAIN);
  rig.backend.workers.clear();
  rig.backend.tells_starts = true;
  rig.finish();
  EXPECT_EQ(job.values.size(), 3U);
  EXPECT_EQ(rig.backend.starts, 2U);
}

// Frames may be written before anything is heard of the worker.
TEST(DispatcherStart, TheStartedEventMayComeLate) {
  Rig rig({.processes = 1});
  rig.backend.tells_starts = false;
  rig.dispatcher->start();
  NotingJob job;
  rig.submit(job, texts(3));
  rig.finish();
  EXPECT_EQ(job.values.size(), 3U);
  EXPECT_FALSE(rig.dispatcher->all_started());
  rig.backend.tell(Kind::started, 0);
  rig.dispatcher->look_after_workers();
  EXPECT_TRUE(rig.dispatcher->all_started());
}

// A program that cannot start workers is no storm of forks, and in the end it is told.
TEST(DispatcherStart, StartsThatFailForEverBreakThePool) {
  Rig rig({.processes = 4});
  rig.backend.start_errors.assign(10'000, EAGAIN);
  const std::int64_t begin_ns = os::now_ns();
  rig.start();
  NotingJob job;
  rig.submit(job, texts(3));
  while (!rig.dispatcher->broken()) {
    rig.dispatcher->step(nullptr);
    ::usleep(500);
  }
  EXPECT_EQ(job.answers(), 3U);
  EXPECT_EQ(job.ended, 1U);
  EXPECT_EQ(job.indices_of<ProcessError>().size(), 3U);
  EXPECT_NE(job.error(0).find("gave up"), std::string::npos) << job.error(0);
  EXPECT_LT(rig.backend.starts, 200U);
  EXPECT_GT(os::now_ns() - begin_ns, 100'000'000) << "it gave up at once";
  const unsigned starts = rig.backend.starts;
  ::usleep(20'000);
  rig.settle();
  EXPECT_EQ(rig.backend.starts, starts) << "a broken pool starts nobody";
}

// Many workers that fail at the same moment are not many failures in a row.
TEST(DispatcherStart, OneBadMomentDoesNotBreakALargePool) {
  Rig rig({.processes = 100, .cpus = 4});
  rig.backend.start_errors.assign(100, EMFILE);
  rig.start();
  EXPECT_FALSE(rig.dispatcher->broken());
  NotingJob job;
  rig.submit(job, texts(200));
  rig.finish();
  EXPECT_EQ(job.values.size(), 200U);
}

TEST(DispatcherStart, AReadyWorkerIsReplacedAtOnce) {
  Rig rig({.processes = 1});
  rig.start();
  for (unsigned i = 1; i <= 30; ++i) {
    ASSERT_FALSE(rig.worker(0).next_tasks());  // takes the init frame: it is ready
    rig.backend.die(0, -9);
    rig.dispatcher->look_after_workers();
    ASSERT_EQ(rig.backend.starts, 1 + i);
    rig.dispatcher->look_after_workers();
  }
  EXPECT_FALSE(rig.dispatcher->broken());
}

TEST(DispatcherStart, TheInitializerFails) {
  Rig rig({.processes = 2, .initializer = true});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(4));
  rig.settle();
  auto frame = rig.worker(0).next_frame();
  while (frame && frame->kind != FrameKind::init) {
    rig.worker(0).release();
    frame = rig.worker(0).next_frame();
  }
  ASSERT_TRUE(frame);
  rig.worker(0).fail_init("no database");
  rig.backend.die(0, 1);
  rig.settle();
  // It is found out by whatever comes first: its record when the worker is drained for the burial.
  ASSERT_TRUE(rig.dispatcher->broken());
  EXPECT_EQ(job.answers(), 4U);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_NE(job.error(i).find("no database"), std::string::npos);
  EXPECT_EQ(rig.backend.starts, 2U) << "no worker is started any more";
}

// Workers that die in their initializer, all of them, again and again.
TEST(DispatcherStart, DeathsInTheInitializerBreakThePool) {
  Rig rig({.processes = 2, .initializer = true});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(4));
  while (!rig.dispatcher->broken()) {
    rig.dispatcher->step(nullptr);
    for (const unsigned slot : {0U, 1U}) {
      if (rig.backend.workers.contains(slot)) rig.backend.die(slot, -11);
    }
    ::usleep(500);
  }
  EXPECT_EQ(job.answers(), 4U);
  EXPECT_NE(job.error(0).find("initializer"), std::string::npos) << job.error(0);
  EXPECT_NE(job.error(0).find("signal 11"), std::string::npos) << job.error(0);
  EXPECT_LT(rig.backend.starts, 60U);
}

TEST(DispatcherStart, SomeDeathsInTheInitializerDoNot) {
  Rig rig({.processes = 8, .cpus = 8, .initializer = true});
  rig.start();
  for (unsigned slot = 0; slot < 4; ++slot) rig.worker(slot).next_tasks();  // ready
  for (int round = 0; round < 20; ++round) {
    for (unsigned slot = 4; slot < 8; ++slot) {
      if (rig.backend.workers.contains(slot)) rig.backend.die(slot, -9);
    }
    rig.dispatcher->look_after_workers();
    ::usleep(15'000);
  }
  EXPECT_FALSE(rig.dispatcher->broken());
}

}  // namespace
}  // namespace brood::engine::testing
