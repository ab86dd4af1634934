// How answers come back, from honest workers and from damaged ones.
#include <gtest/gtest.h>

#include <random>

#include "pool/dispatcher_rig.hpp"
#include "support/scale.hpp"

namespace brood::engine::testing {
namespace {

using brood::testing::scaled;

// A worker with `count` tasks of the job in front of it, one per frame, none begun.
class OneWorker : public ::testing::Test {
 protected:
  explicit OneWorker(const RigOptions& options = {.processes = 1, .cpus = 1}) : rig(options) { rig.start(); }

  // The tasks that it got in one frame each.
  void give(std::size_t count) {
    rig.submit(job, texts(count));
    // Unknown tasks go out one at a time: with a known time several wait in the ring.
    job.known->task_ns = 1'000;
    rig.settle();
  }
  FakeWorker& worker() { return rig.worker(0); }
  // Takes the next task, without answering.
  std::string begin() {
    if (!frame || next == frame->items.size()) {
      frame = worker().next_tasks();
      next = 0;
    }
    EXPECT_TRUE(worker().take());
    return frame->items.at(next++);
  }
  // Whatever goes wrong, in the end every task has exactly one answer, and the pool works.
  void expect_recovery() {
    rig.finish();
    EXPECT_EQ(job.answers(), job.accepted);
    EXPECT_EQ(job.ended, 1U);
    EXPECT_TRUE(rig.dispatcher->quiet());
    NotingJob after;
    rig.submit(after, texts(5));
    rig.finish();
    EXPECT_EQ(after.values.size(), 5U);
  }

  Rig rig;
  NotingJob job;
  std::optional<Frame> frame;
  std::size_t next = 0;
};

using DispatcherDrain = OneWorker;

TEST_F(DispatcherDrain, ValuesAndErrors) {
  give(3);
  begin();
  worker().answer("value");
  begin();
  worker().fail(std::runtime_error("what went wrong"));
  begin();
  worker().answer("");
  rig.settle();
  EXPECT_EQ(job.values[0], "value");
  EXPECT_EQ(job.error(1), "what went wrong");
  EXPECT_EQ(job.indices_of<RemoteError>(), std::set<std::uint64_t>{1});
  EXPECT_TRUE(job.values.contains(2));
  EXPECT_EQ(job.order, (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(job.ended, 1U);
}

TEST_F(DispatcherDrain, EachAnswerIsHeardOfAtOnce) {
  give(3);
  for (std::size_t i = 0; i < 3; ++i) {
    begin();
    worker().answer("x");
    rig.dispatcher->step(nullptr);
    EXPECT_EQ(job.answers(), i + 1);
  }
}

// Results of every size, also larger than the ring and in pieces of every kind.
TEST_F(DispatcherDrain, LargeResultsStream) {
  const std::size_t ring = RingSizes{}.results;
  std::mt19937 random(5);
  const std::vector<std::size_t> sizes{0, 1, 7, 8, 9, ring / 2, ring / 2 + 1, ring - 8, ring, ring + 1, 5 * ring + 3};
  give(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    begin();
    std::string value(sizes[i], '\0');
    for (std::size_t k = 0; k < value.size(); ++k) value[k] = static_cast<char>(k * 31 + i);
    const std::uint64_t word = wire::pack_record(RecordStatus::value, worker().sequence(), value.size());
    std::string bytes(reinterpret_cast<const char*>(&word), sizeof word);
    bytes += value;
    bytes.resize(static_cast<std::size_t>(wire::padded(bytes.size())));
    // Up to half of the ring at once, more in steps of any size after the first word.
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t most = value.size() <= ring / 2 ? bytes.size() : at == 0 ? 8 : 1 + random() % 50'000;
      const std::size_t count = std::min(most, bytes.size() - at);
      while (worker().link.results.window(count).size() < count) rig.dispatcher->step(nullptr);
      worker().put_bytes(bytes.data() + at, count);
      at += count;
      if (random() % 3 == 0) rig.dispatcher->step(nullptr);
    }
    rig.settle();
    EXPECT_TRUE(job.values[i] == value) << sizes[i];
  }
  EXPECT_EQ(job.ended, 1U);
  EXPECT_TRUE(rig.backend.kills.empty());
}

// --- damage --------------------------------------------------------------------------------------------------------

struct Damage {
  const char* name;
  void (*cause)(FakeWorker&);
};

class DispatcherDamage : public OneWorker, public ::testing::WithParamInterface<Damage> {};

// The worker is at its second task of five.
TEST_P(DispatcherDamage, KillsTheWorkerAndNothingElse) {
  give(5);
  begin();
  worker().answer("first");
  rig.settle();
  begin();
  GetParam().cause(worker());
  rig.settle();
  EXPECT_EQ(rig.backend.kills, std::vector<unsigned>{0});
  expect_recovery();
  EXPECT_EQ(job.values[0], "first");
  EXPECT_EQ(job.indices_of<WorkerDied>(), std::set<std::uint64_t>{1});
  EXPECT_EQ(job.values.size(), 4U);
}

void put_raw(FakeWorker& worker, std::uint64_t status, std::uint64_t sequence, std::uint64_t length) {
  worker.put_word((status << 56U) | ((sequence & 0xFFFFU) << 40U) | length);
}

constexpr Damage kDamages[] = {
    {"UnknownStatus", [](FakeWorker& worker) { put_raw(worker, 77, 2, 0); }},
    {"StatusZero", [](FakeWorker& worker) { put_raw(worker, 0, 2, 0); }},
    {"OutOfTurn", [](FakeWorker& worker) { put_raw(worker, 1, 3, 0); }},
    {"AgainTheFirst", [](FakeWorker& worker) { put_raw(worker, 1, 1, 0); }},
    {"SequenceFarAway", [](FakeWorker& worker) { put_raw(worker, 1, 0x8002, 0); }},
    {"AllOnes", [](FakeWorker& worker) { worker.put_word(~std::uint64_t{0}); }},
    {"LargeOutOfTurn", [](FakeWorker& worker) { put_raw(worker, 1, 9, 1'000'000); }},
    {"NotWhole", [](FakeWorker& worker) { put_raw(worker, 1, 2, 100); }},
    {"DeclinedTooMany", [](FakeWorker& worker) { put_raw(worker, 3, 2, 1000); }},
    {"DeclinedFarTooMany", [](FakeWorker& worker) { put_raw(worker, 3, 2, wire::kMaxRecordLength); }},
    {"AnErrorThatIsNone", [](FakeWorker& worker) { worker.put(RecordStatus::error, 2, "not an exception at all"); }},
    {"AnEmptyError", [](FakeWorker& worker) { worker.put(RecordStatus::error, 2, ""); }},
    {"HalfAWord", [](FakeWorker& worker) { worker.put_bytes("abc", 3); }},
    {"TailTooFar", [](FakeWorker& worker) { worker.words().result_tail.store(1U << 30U); }},
    {"TailBackwards", [](FakeWorker& worker) { worker.words().result_tail.store(1); }},
    {"TailWrapped", [](FakeWorker& worker) { worker.words().result_tail.store(~std::uint64_t{0}); }},
};

INSTANTIATE_TEST_SUITE_P(All, DispatcherDamage, ::testing::ValuesIn(kDamages),
                         [](const auto& test) { return test.param.name; });

// Answers that come without a task.
TEST_F(DispatcherDrain, AnAnswerToNothing) {
  give(1);
  begin();
  worker().answer("a");
  worker().put(RecordStatus::value, 2, "b");
  rig.settle();
  EXPECT_EQ(rig.backend.kills, std::vector<unsigned>{0});
  EXPECT_EQ(job.values[0], "a");
  expect_recovery();
}

TEST_F(DispatcherDrain, AnInitFailureOfANonsenseKind) {
  give(2);
  begin();
  worker().put(RecordStatus::init_failed, 0, "not an exception");
  rig.settle();
  EXPECT_EQ(rig.backend.kills, std::vector<unsigned>{0});
  expect_recovery();
}

// A wild store hits the worker's own positions in the task ring.
TEST_F(DispatcherDrain, ATaskPositionThatCannotBe) {
  for (const std::uint64_t head : {~std::uint64_t{0}, std::uint64_t{1} << 40U, std::uint64_t{1} << 20U}) {
    Rig other({.processes = 1, .cpus = 1});
    other.start();
    NotingJob many;
    other.submit(many, texts(3));
    many.known->task_ns = 1'000;
    other.settle();
    other.worker(0).words().task_head.store(head);
    // So large that the dispatcher must look whether there is room.
    NotingJob large;
    other.submit(large, {std::string(50'000, 'x'), std::string(50'000, 'y'), std::string(50'000, 'z'),
                         std::string(200'000, 'w')});
    EXPECT_NO_THROW(other.settle());
    EXPECT_NO_THROW(other.finish());
    EXPECT_EQ(many.answers(), 3U);
    EXPECT_EQ(large.answers(), 4U);
    EXPECT_FALSE(other.backend.kills.empty());
  }
}

// Random words, random positions, random ledgers: the dispatcher kills, recovers, and answers every task once.
TEST(DispatcherNoise, NothingThatAWorkerWritesBreaksTheDispatcher) {
  std::mt19937_64 random(99);
  for (std::size_t round = 0; round < scaled(1500); ++round) {
    Rig rig({.processes = 2, .cpus = 2, .sizes = {.tasks = 131072, .results = 8192}});
    rig.start();
    NotingJob job;
    job.retries = static_cast<std::uint32_t>(random() % 3);
    rig.submit(job, texts(30));
    job.known->task_ns = 1'000;
    for (int i = 0; i < 40 && job.ended == 0; ++i) {
      rig.dispatcher->step(nullptr);
      rig.dispatcher->look_after_workers();
      for (unsigned slot = 0; slot < 2; ++slot) {
        if (!rig.backend.workers.contains(slot)) continue;
        FakeWorker& worker = rig.worker(slot);
        switch (random() % 24) {
          case 0: {
            std::uint64_t words[4];
            for (auto& word : words) word = random();
            if (worker.link.results.window(32).size() >= 32) worker.put_bytes(words, 8 * (random() % 5));
            break;
          }
          case 1:
            worker.words().result_tail.store(random() % 3 == 0 ? random()
                                                               : worker.link.results.position() + random() % 20'000);
            break;
          case 2:
            worker.words().task_head.store(random() % 3 == 0 ? random() : random() % 100'000);
            break;
          case 3:
            worker.words().taken.store(random() % 3 == 0 ? random() : random() % 40);
            break;
          case 4:
            rig.backend.die(slot, -11);
            break;
          case 5:
            put_raw(worker, 1 + random() % 4, 1 + random() % 30, random() % 64);
            break;
          default:
            if (worker.link.results.window(4096).size() >= 4096) worker.work();
        }
      }
    }
    // From here on everybody behaves. What is still damaged is noticed, or does no harm, or the worker is killed at
    // last.
    rig.works = [&](unsigned slot) { return rig.worker(slot).link.results.window(4096).size() >= 4096; };
    while (job.ended == 0) {
      rig.finish();
      if (job.ended == 0) {
        for (const unsigned slot : {0U, 1U}) rig.backend.die(slot, -9);
      }
    }
    ASSERT_EQ(job.ended, 1U) << "round " << round << (rig.dispatcher->broken() ? ", broken" : "");
    ASSERT_EQ(job.answers(), 30U) << "round " << round;
  }
}

}  // namespace
}  // namespace brood::engine::testing
