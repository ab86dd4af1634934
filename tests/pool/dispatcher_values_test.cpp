// Values that stand side by side: taken as they come, cut short, and damaged.
#include <brood/detail/jobs.hpp>

#include <gtest/gtest.h>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

using Map = detail::MapJob<int, std::vector<int>>;

// One worker, which holds a block of `count` numbers from 0 on.
class DispatcherValues : public ::testing::Test {
 protected:
  static constexpr int kCount = 100;

  DispatcherValues() : input(kCount), job(any_function(), input) {
    for (int i = 0; i < kCount; ++i) input[static_cast<std::size_t>(i)] = i;
    dispatcher = std::make_unique<Dispatcher>(
        DispatcherOptions{.processes = 1, .cpus = 1}, backend, page, doorbell, [this](Job&) { ended = true; }, [] {});
    dispatcher->start();
    dispatcher->look_after_workers();
    job.known = functions.obtain(job.function);
    job.known->task_ns = 100;
    job.chunksize = kCount;
    job.stop_on_error = false;  // what comes after an error is not taken back
    settle();
    frame = worker().next_tasks();
  }
  void settle() {
    while (dispatcher->step(&job)) {
    }
    dispatcher->look_after_workers();
  }
  FakeWorker& worker() { return backend.worker(0); }
  void record(std::uint64_t first, std::uint64_t count) {
    worker().put_word(wire::pack_record(RecordStatus::values, first, count));
  }
  // Takes the next tasks and publishes their values, one by one.
  void values(int from, int to) {
    for (int i = from; i < to; ++i) {
      EXPECT_TRUE(worker().take());
      const int value = 10 * i;
      worker().put_bytes(&value, sizeof value);
    }
  }
  void pad() {
    const std::uint64_t zero = 0;
    worker().put_bytes(&zero, (8 - worker().link.results.position() % 8) % 8);
  }
  // Corrects the number in the record at ring position `at`.
  void correct(std::uint64_t at, std::uint64_t first, std::uint64_t count) {
    const std::uint64_t word = wire::pack_record(RecordStatus::values, first, count);
    auto* const place = const_cast<std::byte*>(worker().link.results.at(at));
    std::memcpy(place, &word, sizeof word);
  }
  std::vector<int> result() {
    job.result.set_count(job.accepted);
    return std::move(job.result).get();
  }
  // The dispatcher must not believe this worker any more, and nobody else is hurt.
  void expect_killed() {
    EXPECT_EQ(backend.kills.size(), 1U);
    finish_elsewhere();
    EXPECT_TRUE(ended);
    EXPECT_EQ(job.answered, job.accepted);
  }
  // Another worker answers the rest.
  void finish_elsewhere() {
    for (int round = 0; round < 50 && !ended; ++round) {
      settle();
      if (!backend.workers.contains(0)) continue;
      while (auto frame_there = worker().next_tasks()) {
        for (const std::string& item : frame_there->items) {
          int x = 0;
          std::memcpy(&x, item.data(), sizeof x);
          x *= 10;
          ASSERT_TRUE(worker().take());
          worker().answer(std::string(reinterpret_cast<const char*>(&x), sizeof x));
        }
        worker().release();
      }
    }
  }

  FakeBackend backend;
  os::Fd page_memory = channel::make_pool_memory();
  channel::PoolPage page{page_memory.get(), os::Access::read_write};
  os::Event doorbell;
  Functions functions;
  std::vector<int> input;
  Map job;
  std::unique_ptr<Dispatcher> dispatcher;
  std::optional<Frame> frame;
  bool ended = false;
};

TEST_F(DispatcherValues, TheFrameIsABlock) {
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->kind, FrameKind::block);
  EXPECT_EQ(frame->count, static_cast<std::uint32_t>(kCount));
  EXPECT_EQ(frame->length, kCount * sizeof(int));
}

TEST_F(DispatcherValues, AreTakenAsTheyCome) {
  record(1, kCount);
  settle();
  EXPECT_EQ(job.answered, 0U);
  for (int i = 0; i < kCount; ++i) {
    values(i, i + 1);
    settle();
    EXPECT_EQ(job.answered, static_cast<std::uint64_t>(i + 1));
  }
  EXPECT_TRUE(ended);
  worker().release();
  settle();
  EXPECT_TRUE(dispatcher->quiet());
  const std::vector<int> got = result();
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], 10 * i);
}

// A task fails: the number is corrected, the error follows, then other values. The dispatcher looks at any of the steps
// (bits of the second parameter).
class CutShort : public DispatcherValues, public ::testing::WithParamInterface<std::tuple<int, unsigned>> {};

TEST_P(CutShort, WhatFollowsIsNoValue) {
  const auto [at, looks] = GetParam();
  const std::uint64_t done = static_cast<std::uint64_t>(at);
  auto look = [this, seen = 0U, looks = looks]() mutable {
    if ((looks >> seen++ & 1U) != 0) settle();
  };
  record(1, kCount);
  look();
  values(0, at);
  look();
  EXPECT_TRUE(worker().take());
  correct(0, 1, done);
  look();
  pad();
  look();
  worker().fail(std::out_of_range("no"));
  look();
  if (at + 1 < kCount) {
    record(done + 2, kCount - done - 1);
    values(at + 1, kCount);
    pad();
  }
  worker().release();
  settle();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(dispatcher->quiet());
  EXPECT_EQ(backend.kills.size(), 0U);
  EXPECT_EQ(job.answered, static_cast<std::uint64_t>(kCount));
  EXPECT_THROW((void)result(), std::exception);
}

INSTANTIATE_TEST_SUITE_P(All, CutShort,
                         ::testing::Combine(::testing::Values(0, 1, 2, 50, 98, 99), ::testing::Range(0U, 32U)));

// The record must stay where it is, but what came before it must not: a worker that cuts its block short may need the
// room before it publishes anything that would wake the dispatcher.
TEST_F(DispatcherValues, HoldNoMoreThanTheirOwnRoom) {
  record(1, 50);
  values(0, 50);
  record(51, 50);
  values(50, 52);
  settle();
  EXPECT_EQ(job.answered, 52U);
  const std::size_t capacity = worker().link.results.capacity();
  EXPECT_EQ(worker().link.results.window(capacity).size(), capacity - 8 - 2 * sizeof(int));
}

TEST_F(DispatcherValues, AWorkerThatDiesAmongThem) {
  record(1, kCount);
  values(0, 40);
  EXPECT_TRUE(worker().take());  // the 41st, which it dies of
  backend.die(0, -11);
  for (int round = 0; round < 50 && !ended; ++round) finish_elsewhere();
  EXPECT_TRUE(ended);
  try {
    (void)result();
    ADD_FAILURE() << "no error";
  } catch (const WorkerDied& error) {
    EXPECT_EQ(error.task_index(), 40U);
  }
}

TEST_F(DispatcherValues, MoreThanTasks) {
  record(1, kCount + 1);
  settle();
  expect_killed();
}

TEST_F(DispatcherValues, OutOfTurn) {
  record(2, kCount);
  settle();
  expect_killed();
}

TEST_F(DispatcherValues, HalfOfOne) {
  record(1, kCount);
  EXPECT_TRUE(worker().take());
  const std::uint16_t half = 0;
  worker().put_bytes(&half, sizeof half);
  settle();
  expect_killed();
}

TEST_F(DispatcherValues, FewerThanWereTaken) {
  record(1, kCount);
  values(0, 10);
  settle();
  correct(0, 1, 9);
  values(10, 11);
  settle();
  expect_killed();
}

TEST_F(DispatcherValues, TheRecordIsOverwritten) {
  record(1, kCount);
  values(0, 10);
  settle();
  worker().take();
  correct(0, 1, std::uint64_t{1} << 39U);
  values(11, 12);
  settle();
  expect_killed();
}

TEST_F(DispatcherValues, NotAskedFor) {
  record(1, kCount);
  values(0, kCount);
  worker().release();
  settle();
  EXPECT_TRUE(ended);
  ended = false;
  NotingJob texts_job;
  texts_job.known = functions.obtain(texts_job.function);
  dispatcher->accept(parcel_of(texts_job, 0, {"text"}));
  settle();
  ASSERT_TRUE(worker().next_tasks());
  EXPECT_TRUE(worker().take());
  record(worker().sequence(), 1);
  settle();
  EXPECT_EQ(backend.kills.size(), 1U);
  EXPECT_EQ(texts_job.indices_of<WorkerDied>().size(), 1U);
}

}  // namespace
}  // namespace brood::engine::testing
