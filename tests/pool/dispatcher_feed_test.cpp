// How tasks are spread over the workers.
#include <gtest/gtest.h>

#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

std::size_t tasks_in(std::optional<Frame>& frame) { return frame ? frame->items.size() : 0; }

TEST(DispatcherFeed, AWorkerFirstHearsOfItsStartAndOfTheFunction) {
  Rig rig({.processes = 1});
  rig.start();
  NotingJob job;
  rig.submit(job, {"a"});
  rig.settle();
  FakeWorker& worker = rig.worker(0);
  auto frame = worker.next_tasks();
  ASSERT_TRUE(frame);
  EXPECT_EQ(worker.frames, (std::vector{FrameKind::init, FrameKind::define, FrameKind::task}));
  EXPECT_EQ(frame->items, (std::vector<std::string>{"a"}));
  EXPECT_TRUE(worker.take());
  worker.answer("b");
  worker.release();
  rig.settle();
  EXPECT_EQ(job.values[0], "b");
  EXPECT_EQ(job.ended, 1U);
  EXPECT_TRUE(rig.dispatcher->quiet());
}

// The definition goes once to each worker.
TEST(DispatcherFeed, AFunctionIsDefinedOnce) {
  Rig rig({.processes = 1});
  rig.start();
  for (int i = 0; i < 3; ++i) {
    NotingJob job;
    rig.submit(job, {"a", "b"});
    rig.finish();
    EXPECT_EQ(job.answers(), 2U);
  }
  const auto& frames = rig.worker(0).frames;
  EXPECT_EQ(std::count(frames.begin(), frames.end(), FrameKind::define), 1);
}

TEST(DispatcherFeed, IdleWorkersFirst) {
  Rig rig({.processes = 4, .cpus = 4});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(4));
  rig.settle();
  for (unsigned slot = 0; slot < 4; ++slot) {
    auto frame = rig.worker(slot).next_tasks();
    EXPECT_EQ(tasks_in(frame), 1U) << slot;
  }
}

TEST(DispatcherFeed, TheInputOfACallToo) {
  Rig rig({.processes = 4, .cpus = 4});
  rig.start();
  NotingJob job;
  job.input = texts(4);
  rig.prepare(job);
  rig.settle(&job);
  for (unsigned slot = 0; slot < 4; ++slot) {
    auto frame = rig.worker(slot).next_tasks();
    EXPECT_EQ(tasks_in(frame), 1U) << slot;
  }
}

// While nothing is known about a function, one task at a time goes out.
TEST(DispatcherFeed, UnknownTasksGoOutOneByOne) {
  Rig rig({.processes = 1, .cpus = 1});
  rig.start();
  NotingJob job;
  job.input = texts(1000);
  rig.prepare(job);
  rig.settle(&job);
  while (auto frame = rig.worker(0).next_tasks()) EXPECT_EQ(tasks_in(frame), 1U);
}

// The size of the frames that a worker gets when each task takes so long.
std::size_t chunk_after(std::uint64_t each_ns, std::size_t item_bytes = 4) {
  Rig rig({.processes = 1, .cpus = 1});
  rig.start();
  NotingJob job;
  job.input.assign(200'000, std::string(item_bytes, 'x'));
  rig.prepare(job);
  FakeWorker& worker = rig.worker(0);
  std::size_t largest = 0;
  for (int round = 0; round < 40 && !job.done.load(); ++round) {
    rig.settle(&job);
    std::size_t done = 0;
    while (auto frame = worker.next_tasks()) {
      for (std::size_t i = 0; i < frame->items.size(); ++i) {
        worker.take();
        worker.answer("");
      }
      if (round > 10) largest = std::max(largest, frame->items.size());
      done += frame->items.size();
      worker.release();
    }
    worker.publish_time(done, each_ns);
  }
  return largest;
}

TEST(DispatcherFeed, ChunksFollowTheMeasuredTime) {
  EXPECT_EQ(chunk_after(10'000'000), 1U);
  EXPECT_EQ(chunk_after(1'000'000), 1U);
  const std::size_t at_10us = chunk_after(10'000);
  EXPECT_GE(at_10us, 5U);
  EXPECT_LE(at_10us, 100U);
  const std::size_t at_1us = chunk_after(1'000);
  EXPECT_GE(at_1us, 5 * at_10us);
  const std::size_t at_100ns = chunk_after(100);
  EXPECT_GE(at_100ns, 2 * at_1us);
}

TEST(DispatcherFeed, ChunksAreLimitedByTheirBytes) {
  const std::size_t bytes = 3000;
  const std::size_t chunk = chunk_after(10, bytes);
  EXPECT_GT(chunk, 1U);
  EXPECT_LE(chunk * bytes, RingSizes{}.tasks / 2);
}

TEST(DispatcherFeed, ChunksizeOverridesTheMeasurement) {
  for (const std::size_t chunksize : {1U, 7U, 100U}) {
    Rig rig({.processes = 1, .cpus = 1});
    rig.start();
    NotingJob job;
    job.chunksize = chunksize;
    job.input = texts(1000);
    rig.prepare(job);
    std::size_t frames = 0;
    for (int round = 0; round < 2000 && !job.done.load(); ++round) {
      rig.settle(&job);
      while (auto frame = rig.worker(0).next_tasks()) {
        const bool is_last = job.answers() + frame->items.size() == 1000 || frame->items.size() == 1000 % chunksize;
        EXPECT_TRUE(frame->items.size() == chunksize || is_last) << frame->items.size();
        ++frames;
        for (std::size_t i = 0; i < frame->items.size(); ++i) {
          rig.worker(0).take();
          rig.worker(0).answer("");
        }
        rig.worker(0).release();
        rig.worker(0).publish_time(frame->items.size(), 100);
      }
    }
    EXPECT_EQ(job.answers(), 1000U);
    EXPECT_EQ(frames, (1000 + chunksize - 1) / chunksize);
  }
}

// Towards the end of an input of known length frames become smaller, so that the workers end together.
TEST(DispatcherFeed, ChunksShrinkTowardsTheEnd) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob job;
  job.input = texts(20'000);
  job.total = job.input.size();
  job.total_known = true;
  rig.prepare(job);
  std::vector<std::size_t> sizes;
  while (!job.done.load()) {
    rig.settle(&job);
    for (unsigned slot = 0; slot < 2; ++slot) {
      std::size_t done = 0;
      while (auto frame = rig.worker(slot).next_tasks()) {
        sizes.push_back(frame->items.size());
        for (std::size_t i = 0; i < frame->items.size(); ++i) {
          if (!rig.worker(slot).take()) {
            rig.worker(slot).decline(static_cast<std::uint32_t>(frame->items.size() - i));
            break;
          }
          rig.worker(slot).answer("");
          ++done;
        }
        rig.worker(slot).release();
      }
      rig.worker(slot).publish_time(done, 1'000);
    }
  }
  const std::size_t largest = *std::max_element(sizes.begin(), sizes.end());
  EXPECT_GT(largest, 20U);
  EXPECT_LE(sizes.back(), largest / 4);
}

TEST(DispatcherFeed, TheWindowIsNotExceeded) {
  Rig rig({.processes = 3, .cpus = 3});
  rig.start();
  NotingJob job;
  job.input = texts(100);
  job.window_end = 5;
  rig.prepare(job);
  rig.settle(&job);
  EXPECT_LE(job.next_index, 5U);
  rig.finish(&job);
  EXPECT_EQ(job.next_index, 5U);
  EXPECT_EQ(job.answers(), 5U);
  EXPECT_FALSE(job.done.load());
  job.window_end = 100;
  rig.finish(&job);
  EXPECT_EQ(job.answers(), 100U);
  EXPECT_EQ(job.ended, 1U);
}

TEST(DispatcherFeed, EmptyInputs) {
  Rig rig;
  rig.start();
  NotingJob job;
  rig.prepare(job);
  rig.settle(&job);
  EXPECT_EQ(job.ended, 1U);
  NotingJob posted;
  rig.prepare(posted);
  rig.dispatcher->accept(parcel_of(posted, 0, {}));
  EXPECT_EQ(posted.ended, 1U);
}

TEST(DispatcherFeed, AnInputThatThrowsEndsTheJobWithWhatItGave) {
  for (const std::size_t at : {0U, 1U, 7U}) {
    Rig rig;
    rig.start();
    NotingJob job;
    job.input = texts(20);
    job.fails_at = at;
    rig.prepare(job);
    rig.finish(&job);
    EXPECT_EQ(job.answers(), at);
    EXPECT_EQ(job.ended, 1U);
    EXPECT_TRUE(job.input_error);
    EXPECT_TRUE(rig.dispatcher->quiet());
  }
}

// A call that drives must get on with its own input while others keep handing over theirs.
TEST(DispatcherFeed, NobodyStarves) {
  Rig rig({.processes = 1, .cpus = 1});
  rig.start();
  NotingJob mine, others;
  mine.input = texts(5);
  rig.prepare(mine);
  rig.prepare(others);
  std::uint64_t handed_over = 0;
  for (int round = 0; round < 60 && mine.ended == 0; ++round) {
    while (handed_over < others.answers() + 10) {
      rig.dispatcher->accept(parcel_of(others, handed_over++, {"x"}, false));
    }
    rig.settle(&mine);
    rig.worker(0).work();
  }
  EXPECT_EQ(mine.answers(), 5U);
  EXPECT_GE(others.answers(), 3U);
  rig.dispatcher->close(others);
  rig.finish(&mine);
}

// --- what is larger than the ring ----------------------------------------------------------------------------------

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

// Reads a streamed frame to its end, in steps of `most` bytes.
void read_all(Rig& rig, FakeWorker& worker, Frame& frame, std::size_t most) {
  for (int idle = 0; frame.streamed && idle < 100;) {
    idle = worker.read_streamed(frame, most) == 0 ? idle + 1 : 0;
    rig.dispatcher->step(nullptr);
  }
}

TEST(DispatcherFeed, LargeArgumentsStream) {
  const std::size_t ring = RingSizes{}.tasks;
  for (const std::size_t size : {ring / 2, ring - 20, ring, ring + 1, 3 * ring + 5, 10 * ring}) {
    for (const std::size_t step : {SIZE_MAX, std::size_t{5000}}) {
      Rig rig({.processes = 1});
      rig.start();
      NotingJob job;
      rig.submit(job, {pattern(size), "after it"});
      rig.settle();
      FakeWorker& worker = rig.worker(0);
      auto frame = worker.next_tasks();
      ASSERT_TRUE(frame);
      ASSERT_TRUE(frame->streamed) << size;
      EXPECT_EQ(frame->count, 1U);
      worker.take();
      read_all(rig, worker, *frame, step);
      ASSERT_EQ(frame->items.size(), 1U);
      EXPECT_TRUE(frame->items[0] == pattern(size)) << size;
      worker.answer("large");
      worker.release();
      rig.finish();
      EXPECT_EQ(job.values[0], "large");
      EXPECT_EQ(job.values[1], "after it");
      EXPECT_TRUE(rig.dispatcher->quiet());
    }
  }
}

TEST(DispatcherFeed, TheInputStreamsToo) {
  Rig rig({.processes = 1});
  rig.start();
  NotingJob job;
  job.input = {"small", pattern(300'000), "small too", pattern(100'000), pattern(70'000)};
  job.chunksize = 10;
  rig.prepare(job);
  std::vector<std::string> seen;
  for (int idle = 0; idle < 100 && !job.done.load(); ++idle) {
    rig.settle(&job);
    while (auto frame = rig.worker(0).next_tasks()) {
      if (frame->streamed) {
        EXPECT_EQ(frame->count, 1U) << "only a single task may stream";
        read_all(rig, rig.worker(0), *frame, SIZE_MAX);
      }
      for (const auto& item : frame->items) {
        rig.worker(0).take();
        rig.worker(0).answer("");
        seen.push_back(item);
      }
      rig.worker(0).release();
      idle = 0;
    }
  }
  EXPECT_TRUE(seen == job.input);
  EXPECT_EQ(job.answers(), 5U);
}

// While one worker takes a stream slowly, the others go on.
TEST(DispatcherFeed, AStreamHoldsUpNobodyElse) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob large, small;
  rig.submit(large, {pattern(1'000'000)});
  rig.settle();
  unsigned streams_to = 2;
  std::optional<Frame> stream;
  for (unsigned slot = 0; slot < 2; ++slot) {
    if (auto frame = rig.worker(slot).next_tasks()) {
      streams_to = slot;
      stream = std::move(frame);
    }
  }
  ASSERT_LT(streams_to, 2U);
  rig.submit(small, texts(50));
  for (int i = 0; i < 60; ++i) {
    rig.settle();
    rig.worker(1 - streams_to).work();
  }
  rig.settle();
  EXPECT_EQ(small.answers(), 50U);
  EXPECT_EQ(large.answers(), 0U);
}

// A worker that has answered but not yet given back its last frame's bytes is waited for, and the others are not.
TEST(DispatcherFeed, ABlockedWorkerHoldsUpNobodyElse) {
  Rig rig({.processes = 2, .cpus = 2});
  rig.start();
  NotingJob first, second;
  rig.submit(first, {pattern(100'000)});
  rig.settle();
  unsigned slot = 0;
  std::optional<Frame> stream = rig.worker(0).next_tasks();
  if (!stream) stream = rig.worker(slot = 1).next_tasks();
  ASSERT_TRUE(stream && stream->streamed);
  FakeWorker& worker = rig.worker(slot);
  worker.take();
  // All of it is read in place: nothing is released yet.
  ASSERT_GE(worker.link.tasks.fresh_window().size(), wire::padded(stream->length));
  worker.link.tasks.consume(static_cast<std::size_t>(wire::padded(stream->length)));
  worker.answer("done");
  rig.settle();
  EXPECT_EQ(first.answers(), 1U);
  rig.submit(second, {pattern(60'000), pattern(60'000), pattern(60'000)});
  for (int i = 0; i < 20; ++i) {
    rig.settle();
    rig.worker(1 - slot).work();
  }
  rig.settle();
  EXPECT_GE(second.answers(), 2U) << "an idle worker stands behind one whose ring is full";
  worker.release();
  rig.finish();
  EXPECT_EQ(second.answers(), 3U);
}

}  // namespace
}  // namespace brood::engine::testing
