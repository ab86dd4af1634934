// News that do not fit, and the ends of jobs, workers and the dispatcher.
#include <gtest/gtest.h>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

using Kind = WorkerEvent::Kind;

TEST(DispatcherEvents, EventsOfAnEarlierWorkerAreIgnored) {
  Rig rig({.processes = 1});
  rig.start();
  rig.worker(0).next_tasks();
  const std::uint64_t old = rig.worker(0).epoch;
  rig.backend.die(0, -9);
  rig.dispatcher->look_after_workers();
  ASSERT_NE(rig.worker(0).epoch, old);
  WorkerEvent late;
  late.kind = Kind::ended;
  late.slot = 0;
  late.epoch = old;
  late.pid = 5;
  rig.backend.events.push_back(late);
  rig.backend.events.push_back(late);
  rig.dispatcher->look_after_workers();
  EXPECT_EQ(rig.backend.starts, 2U);
  NotingJob job;
  rig.submit(job, texts(3));
  rig.finish();
  EXPECT_EQ(job.values.size(), 3U);
}

TEST(DispatcherEvents, DiesTwice) {
  Rig rig({.processes = 1});
  rig.start();
  rig.worker(0).next_tasks();
  rig.backend.tell(Kind::ended, 0, -9);
  rig.backend.die(0, -9);
  EXPECT_NO_THROW(rig.dispatcher->look_after_workers());
  EXPECT_LE(rig.backend.starts, 2U);
}

// Told to be killed, it lives on for a while, and its event comes much later.
TEST(DispatcherEvents, AWorkerThatIsSlowToDie) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.backend.obeys_kill = false;
  rig.start();
  NotingJob job;
  rig.submit(job, texts(2));
  rig.settle();
  auto frame = rig.worker(0).next_tasks();
  ASSERT_TRUE(frame);
  rig.worker(0).take();
  rig.worker(0).put(RecordStatus::value, 7, "out of turn");
  rig.settle();
  EXPECT_EQ(rig.backend.kills.size(), 1U);
  EXPECT_TRUE(rig.worker(0).told_to_end);
  rig.worker(1).work();
  NotingJob after;
  rig.submit(after, texts(5));
  rig.works = [](unsigned slot) { return slot == 1; };
  for (int i = 0; i < 50; ++i) rig.play();
  EXPECT_EQ(after.values.size(), 5U) << "the others go on";
  EXPECT_EQ(job.answers(), 1U);
  rig.backend.die(0, -9);
  rig.finish();
  EXPECT_EQ(job.answers(), 2U);
}

// An error needs the pid of its worker, and so the news of its start. Whatever else is read on the way there is not
// forgotten: here the dispatcher would sleep for ever.
TEST(DispatcherEvents, NewsThatAreReadEarlyAreNotForgotten) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.backend.tells_starts = false;
  rig.dispatcher->start();
  NotingJob job;
  rig.submit(job, texts(2));
  rig.settle();
  for (const unsigned slot : {0U, 1U}) {
    ASSERT_TRUE(rig.worker(slot).next_tasks());
    rig.worker(slot).take();
  }
  rig.worker(0).fail(std::runtime_error("no"));
  rig.backend.die(1, -9);
  rig.backend.tell(Kind::started, 0);
  rig.dispatcher->step(nullptr);
  EXPECT_EQ(job.indices_of<RemoteError>().size(), 1U);
  while (job.ended == 0) {
    if (!rig.dispatcher->step(nullptr)) rig.dispatcher->rest(nullptr, os::Deadline::never());
  }
  EXPECT_EQ(job.indices_of<WorkerDied>().size(), 1U);
}

// --- the end -------------------------------------------------------------------------------------------------------

TEST(DispatcherEnd, FailAllAnswersEverything) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob job, other;
  rig.submit(job, texts(6));
  rig.submit(other, {std::string(500'000, 'x')});
  rig.settle();
  for (const unsigned slot : {0U, 1U}) {
    if (rig.worker(slot).next_tasks()) rig.worker(slot).take();
  }
  rig.dispatcher->fail_all(std::make_exception_ptr(Cancelled("over")));
  EXPECT_EQ(job.answers(), 6U);
  EXPECT_EQ(other.answers(), 1U);
  EXPECT_EQ(job.ended + other.ended, 2U);
  EXPECT_EQ(job.indices_of<Cancelled>().size(), 6U);
  EXPECT_EQ(rig.dispatcher->outstanding(), 0U);
  // Late answers, and deaths, are nobody's.
  rig.worker(0).answer("late");
  EXPECT_NO_THROW(rig.settle());
  rig.backend.die(1, -9);
  EXPECT_NO_THROW(rig.settle());
  EXPECT_EQ(job.answers(), 6U);
  rig.dispatcher->fail_all(std::make_exception_ptr(Cancelled("again")));
  EXPECT_EQ(job.answers(), 6U);
}

// What streams from the caller's memory must not be read after the caller has its answer.
TEST(DispatcherEnd, FailAllLetsGoOfTheCallersMemory) {
  for (const bool abandons : {false, true}) {
    Rig rig({.processes = 1, .cpus = 1});
    rig.start();
    NotingJob job;
    rig.prepare(job);
    auto memory = std::make_unique<std::vector<char>>(1'000'000, 'm');
    auto* const parcel = new Parcel;
    parcel->job = &job;
    parcel->count = 1;
    parcel->last = true;
    wire::Writer writer;
    const std::uint32_t rest = wire::kRestOfFrame;
    writer.write(&rest, sizeof rest);
    writer.allow_references(true);
    writer.write_stable(memory->data(), memory->size());
    parcel->take(std::move(writer), {});
    rig.dispatcher->accept(parcel);
    rig.settle();
    auto frame = rig.worker(0).next_tasks();
    ASSERT_TRUE(frame && frame->streamed);
    rig.worker(0).take();
    rig.worker(0).read_streamed(*frame);
    rig.settle();
    if (abandons) {
      rig.dispatcher->abandon(job);
    } else {
      rig.dispatcher->fail_all(std::make_exception_ptr(Cancelled("over")));
    }
    std::fill(memory->begin(), memory->end(), '!');  // somebody else's by now
    memory.reset();
    for (int i = 0; i < 100 && frame->streamed; ++i) {
      rig.worker(0).read_streamed(*frame);
      rig.dispatcher->step(nullptr);
    }
    ASSERT_FALSE(frame->streamed) << "the worker waits for the rest";
    EXPECT_TRUE(frame->items.at(0) == std::string(1'000'000, 'm'));
    rig.worker(0).answer("late");
    rig.worker(0).release();
    rig.settle();
    EXPECT_TRUE(rig.dispatcher->quiet());
  }
}

TEST(DispatcherEnd, AbandonDropsWhatHasNotBegun) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob job, other;
  rig.submit(job, texts(40));
  job.known->task_ns = 1'000;
  rig.settle();
  rig.submit(other, texts(4));
  for (const unsigned slot : {0U, 1U}) {
    rig.worker(slot).next_tasks();
    rig.worker(slot).take();
  }
  rig.dispatcher->abandon(job);
  EXPECT_EQ(rig.dispatcher->outstanding(), 4U);
  std::size_t run = 0;
  for (const unsigned slot : {0U, 1U}) {
    rig.worker(slot).answer("late");
    rig.worker(slot).release();
  }
  for (int i = 0; i < 20; ++i) {
    rig.settle();
    for (const unsigned slot : {0U, 1U}) run += rig.worker(slot).work();
  }
  EXPECT_EQ(job.answers(), 0U);
  EXPECT_EQ(other.values.size(), 4U);
  EXPECT_EQ(run, 4U) << "tasks that nobody wants were run";
  EXPECT_TRUE(rig.dispatcher->quiet());
}

TEST(DispatcherEnd, StopTellsEveryWorker) {
  Rig rig({.processes = 3, .cpus = 3});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(9));
  rig.finish();
  ASSERT_TRUE(rig.dispatcher->quiet());
  rig.dispatcher->stop_workers();
  rig.settle();
  for (unsigned slot = 0; slot < 3; ++slot) {
    rig.worker(slot).next_tasks();
    EXPECT_TRUE(rig.worker(slot).stopped);
  }
  EXPECT_TRUE(rig.dispatcher->quiet());
  rig.backend.die(1, 0);
  rig.settle();
  EXPECT_EQ(rig.backend.starts, 3U) << "who was told to stop is not replaced";
}

// The ring of a worker that has answered, but not released, has no room for the stop frame yet.
TEST(DispatcherEnd, StopWaitsForRoom) {
  const RingSizes sizes{.tasks = 65536, .results = 65536};
  Rig rig({.processes = 1, .cpus = 1, .sizes = sizes});
  rig.start();
  rig.worker(0).next_tasks();
  NotingJob job;
  // Together with its header and those before it, the frame fills the ring to the last byte.
  rig.submit(job, {"first"});
  rig.finish();
  NotingJob large;
  rig.submit(large, {std::string(sizes.tasks - sizeof(wire::FrameHeader) - 4, 'x')});
  rig.settle();
  FakeWorker& worker = rig.worker(0);
  auto frame = worker.next_frame();
  ASSERT_TRUE(frame && frame->streamed);
  worker.take();
  rig.settle();
  ASSERT_EQ(worker.link.tasks.fresh_window().size(), sizes.tasks - sizeof(wire::FrameHeader));
  worker.link.tasks.consume(sizes.tasks - sizeof(wire::FrameHeader));
  worker.answer("done");
  rig.settle();
  ASSERT_EQ(large.answers(), 1U);
  rig.dispatcher->stop_workers();
  rig.settle();
  EXPECT_FALSE(rig.dispatcher->quiet()) << "it is not told yet";
  EXPECT_TRUE(rig.backend.kills.empty());
  worker.release();
  rig.settle();
  worker.next_tasks();
  EXPECT_TRUE(worker.stopped);
  EXPECT_TRUE(rig.dispatcher->quiet());
}

// From another thread or a signal handler: from then on nothing is started or fed.
TEST(DispatcherEnd, End) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(5));
  rig.settle();
  rig.dispatcher->end();
  rig.backend.die(0, -9);
  rig.backend.die(1, -9);
  rig.settle();
  rig.settle();
  EXPECT_EQ(rig.backend.starts, 2U);
  EXPECT_EQ(job.indices_of<WorkerDied>().size(), 0U);
  rig.dispatcher->fail_all(std::make_exception_ptr(Cancelled("over")));
  EXPECT_EQ(job.indices_of<Cancelled>().size(), 5U);
}

}  // namespace
}  // namespace brood::engine::testing
