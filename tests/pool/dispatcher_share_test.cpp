// Taking tasks back from workers that have begun none of them: sharing, cancelling, and what comes after a failure.
#include <gtest/gtest.h>

#include <memory>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

// Worker 0 has everything, worker 1 nothing.
class DispatcherShare : public ::testing::Test {
 protected:
  DispatcherShare() : rig({.processes = 2, .cpus = 2}) {
    rig.start();
    rig.worker(0).next_tasks();
    rig.worker(1).next_tasks();
  }
  // One frame of `count` tasks.
  void give(NotingJob& to, std::size_t count, bool takes_first = true) {
    rig.prepare(to);
    to.known->task_ns = 1'000;
    rig.dispatcher->accept(parcel_of(to, 0, texts(count)));
    rig.dispatcher->step(nullptr);
    for (const unsigned slot : {0U, 1U}) {
      if (auto some = rig.worker(slot).next_tasks()) {
        holder = slot;
        frame = std::move(some);
      }
    }
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->items.size(), count);
    if (!takes_first) return;
    ASSERT_TRUE(worker().take());
  }
  FakeWorker& worker() { return rig.worker(holder); }
  FakeWorker& other() { return rig.worker(1 - holder); }
  // Time passes while the holder is at one task.
  void let_it_be_stuck() {
    for (int i = 0; i < 3; ++i) {
      rig.dispatcher->step(nullptr);
      ::usleep(400);
    }
    rig.settle();
  }
  // The holder goes on with its frame from the task after `at` on.
  void go_on(std::uint32_t at) {
    for (std::uint32_t i = at; i < frame->count; ++i) {
      if (!worker().take()) {
        worker().decline(frame->count - i);
        break;
      }
      worker().answer("holder");
      ++by_holder;
    }
    worker().release();
  }

  Rig rig;
  NotingJob job;
  unsigned holder = 0;
  std::optional<Frame> frame;
  std::size_t by_holder = 0;
};

TEST_F(DispatcherShare, WhatAStuckWorkerHasNotBegunGoesToTheIdleOne) {
  give(job, 10);
  let_it_be_stuck();
  EXPECT_EQ(worker().words().revoke_from.load(), 2U);
  std::size_t elsewhere = 0;
  for (int i = 0; i < 10; ++i) {
    elsewhere += other().work();
    rig.settle();
  }
  EXPECT_EQ(elsewhere, 9U);
  EXPECT_EQ(job.answers(), 9U);
  worker().answer("at last");
  go_on(1);
  rig.settle();
  EXPECT_EQ(by_holder, 0U);
  EXPECT_EQ(job.values[0], "at last");
  EXPECT_EQ(job.ended, 1U);
  EXPECT_TRUE(rig.dispatcher->quiet());
  EXPECT_EQ(worker().words().revoke_from.load(), channel::kNeverRevoked) << "it may have tasks again";
  NotingJob after;
  rig.submit(after, texts(20));
  rig.finish();
  EXPECT_EQ(after.values.size(), 20U);
}

// Those that it may have begun in the same moment are decided by it.
TEST_F(DispatcherShare, AWorkerThatGetsOnKeepsWhatItTookFirst) {
  give(job, 10);
  // It takes the next one between the two looks of the dispatcher: with a ledger that is ahead of the first look.
  worker().answer("first");
  ASSERT_TRUE(worker().take());
  let_it_be_stuck();
  EXPECT_EQ(worker().words().revoke_from.load(), 3U);
  worker().answer("second");
  go_on(2);
  rig.finish();
  EXPECT_EQ(job.answers(), 10U);
  EXPECT_EQ(job.values[1], "second");
}

TEST_F(DispatcherShare, ARevokedWorkerGetsNothingNew) {
  give(job, 4);
  let_it_be_stuck();
  NotingJob more;
  rig.submit(more, texts(4));
  for (int i = 0; i < 10; ++i) {
    rig.settle();
    other().work();
  }
  EXPECT_EQ(more.answers(), 4U);
  EXPECT_FALSE(worker().next_tasks());
}

TEST_F(DispatcherShare, DeathAfterRevocation) {
  give(job, 6);
  let_it_be_stuck();
  rig.backend.die(holder, -9);
  rig.finish();
  EXPECT_EQ(job.indices_of<WorkerDied>(), std::set<std::uint64_t>{0});
  EXPECT_EQ(job.values.size(), 5U);
}

// The worker has taken a task that was revoked, and dies before it can say so.
TEST_F(DispatcherShare, DeathBetweenTakingAndDeclining) {
  give(job, 6);
  let_it_be_stuck();
  worker().answer("first");
  EXPECT_FALSE(worker().take());
  rig.backend.die(holder, -9);
  rig.finish();
  EXPECT_EQ(job.values.size(), 6U);
  EXPECT_EQ(job.answers(), 6U);
}

TEST_F(DispatcherShare, DeathAfterDeclining) {
  give(job, 6);
  let_it_be_stuck();
  worker().answer("first");
  EXPECT_FALSE(worker().take());
  worker().decline(5);
  rig.backend.die(holder, -9);
  rig.finish();
  EXPECT_EQ(job.values.size(), 6U);
}

TEST_F(DispatcherShare, TheOneWhoGotThemMayDieToo) {
  give(job, 6);
  let_it_be_stuck();
  auto theirs = other().next_tasks();
  ASSERT_TRUE(theirs);
  other().take();
  rig.backend.die(1 - holder, -11);
  rig.settle();
  EXPECT_EQ(job.indices_of<WorkerDied>().size(), 1U);
  worker().answer("first");
  go_on(1);
  rig.finish();
  EXPECT_EQ(job.answers(), 6U);
  EXPECT_EQ(job.values.size(), 5U);
}

// --- cancel --------------------------------------------------------------------------------------------------------

TEST_F(DispatcherShare, CancelBeforeAnyBegan) {
  give(job, 5, false);
  const auto cancelled = std::make_exception_ptr(Cancelled("cancelled"));
  EXPECT_EQ(rig.dispatcher->cancel(job, cancelled), 5U);
  EXPECT_EQ(job.indices_of<Cancelled>().size(), 5U);
  EXPECT_EQ(job.ended, 1U);
  go_on(0);
  rig.settle();
  EXPECT_EQ(by_holder, 0U);
  EXPECT_EQ(job.answers(), 5U);
  EXPECT_TRUE(rig.dispatcher->quiet());
}

TEST_F(DispatcherShare, CancelLeavesTheOneThatRuns) {
  give(job, 5);
  EXPECT_EQ(rig.dispatcher->cancel(job, std::make_exception_ptr(Cancelled("cancelled"))), 4U);
  EXPECT_EQ(job.ended, 0U);
  worker().answer("ran");
  go_on(1);
  rig.settle();
  EXPECT_EQ(job.values.size(), 1U);
  EXPECT_EQ(job.indices_of<Cancelled>().size(), 4U);
  EXPECT_EQ(job.ended, 1U);
}

TEST_F(DispatcherShare, CancelTwice) {
  give(job, 5);
  const auto cancelled = std::make_exception_ptr(Cancelled("cancelled"));
  EXPECT_EQ(rig.dispatcher->cancel(job, cancelled), 4U);
  EXPECT_EQ(rig.dispatcher->cancel(job, cancelled), 0U);
  worker().answer("ran");
  go_on(1);
  rig.settle();
  EXPECT_EQ(job.answers(), 5U);
}

// Those undecided between worker and dispatcher, when the worker declines them, are cancelled too: nobody runs them.
TEST_F(DispatcherShare, WhatACancelledJobsWorkerDeclinesIsCancelled) {
  give(job, 5);
  let_it_be_stuck();  // revoked from 2 on, 2 to 5 are elsewhere
  EXPECT_EQ(rig.dispatcher->cancel(job, std::make_exception_ptr(Cancelled("cancelled"))) + job.values.size(), 4U);
  worker().answer("ran");
  go_on(1);
  rig.finish();
  EXPECT_EQ(job.answers(), 5U);
  EXPECT_EQ(job.ended, 1U);
}

TEST_F(DispatcherShare, ACancelledTasksDeathIsNotRetried) {
  job.retries = 5;
  give(job, 1);
  EXPECT_EQ(rig.dispatcher->cancel(job, std::make_exception_ptr(Cancelled("cancelled"))), 0U);
  rig.backend.die(holder, -9);
  rig.finish();
  EXPECT_EQ(job.answers(), 1U);
  EXPECT_TRUE(job.values.empty()) << "it ran again";
}

// Tasks of others in the same ring move, and are run.
TEST_F(DispatcherShare, CancelSparesOtherJobs) {
  give(job, 3);
  NotingJob neighbour;
  rig.prepare(neighbour);
  rig.dispatcher->accept(parcel_of(neighbour, 0, texts(2)));
  rig.settle();
  rig.dispatcher->cancel(job, std::make_exception_ptr(Cancelled("cancelled")));
  worker().answer("ran");
  go_on(1);
  rig.finish();
  EXPECT_EQ(neighbour.values.size(), 2U);
  EXPECT_EQ(job.indices_of<Cancelled>().size(), 2U);
}

// --- a call that ends with its first error -------------------------------------------------------------------------

TEST_F(DispatcherShare, WhatComesAfterAFailureIsDropped) {
  job.stop_on_error = true;
  give(job, 10);
  worker().fail(std::runtime_error("no"));
  ASSERT_TRUE(worker().take());
  rig.settle();
  EXPECT_EQ(job.error(0), "no");
  worker().answer("was running");
  go_on(2);
  rig.finish();
  EXPECT_EQ(by_holder, 0U);
  EXPECT_LE(job.values.size(), 1U);
  EXPECT_EQ(job.ended, 1U);
  EXPECT_EQ(job.answered, 10U);
  EXPECT_TRUE(rig.dispatcher->quiet());
}

// The failed task was the only one that had begun: dropping the others ends the job at once, and its memory may go.
TEST_F(DispatcherShare, DroppingTheRestMayEndTheJob) {
  auto mortal = std::make_unique<NotingJob>();
  mortal->stop_on_error = true;
  rig.on_done = [&](Job& ended) {
    EXPECT_EQ(&ended, mortal.get());
    EXPECT_EQ(mortal->answered, 10U);
    mortal.reset();
  };
  give(*mortal, 10);
  worker().fail(std::runtime_error("no"));
  rig.settle();
  rig.settle();
  EXPECT_FALSE(mortal) << "it waits for tasks that nobody wants";
  go_on(1);
  rig.on_done = nullptr;
  rig.settle();
  EXPECT_EQ(by_holder, 0U);
  EXPECT_TRUE(rig.dispatcher->quiet());
}

// Tasks before the failed one still count: the error thrown is the first by index.
TEST_F(DispatcherShare, TasksBeforeAFailureAreAnswered) {
  job.stop_on_error = true;
  rig.prepare(job);
  rig.dispatcher->accept(parcel_of(job, 0, {"slow"}, false));
  rig.dispatcher->accept(parcel_of(job, 1, {"bad"}, false));
  rig.dispatcher->accept(parcel_of(job, 2, {"never"}));
  rig.dispatcher->step(nullptr);
  std::optional<Frame> slow, bad;
  unsigned slow_at = 0;
  for (const unsigned slot : {0U, 1U}) {
    auto some = rig.worker(slot).next_tasks();
    ASSERT_TRUE(some);
    rig.worker(slot).take();
    if (some->items[0] == "slow") {
      slow_at = slot;
    } else {
      rig.worker(slot).fail(std::runtime_error("bad"));
      rig.worker(slot).release();
    }
  }
  rig.settle();
  EXPECT_EQ(job.ended, 0U);
  rig.worker(slow_at).fail(std::runtime_error("worse"));
  rig.worker(slow_at).release();
  rig.settle();
  EXPECT_EQ(job.ended, 1U);
  EXPECT_EQ(job.error(0), "worse");
  EXPECT_EQ(job.error(1), "bad");
  EXPECT_TRUE(job.values.empty());
}

}  // namespace
}  // namespace brood::engine::testing
