// Deaths, restarts and ends: every task is answered exactly once.
#include <gtest/gtest.h>

#include <cerrno>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

using Kind = WorkerEvent::Kind;

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

// --- starts --------------------------------------------------------------------------------------------------------

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

// --- events that do not fit ----------------------------------------------------------------------------------------

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
