// Workers that die: in a task, while they wait, and one after the other.
#include <algorithm>
#include <string>
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class WorkerDeath : public EveryDeath {
 protected:
  void expect_died(const WorkerDied& error, std::uint64_t index) {
    EXPECT_EQ(error.exitcode(), exitcode_of(GetParam()));
    EXPECT_EQ(error.signal(), std::max(0, -exitcode_of(GetParam())));
    EXPECT_EQ(error.task_index(), index);
    EXPECT_GT(error.pid(), 0);
    EXPECT_FALSE(is_running(error.pid()));
    const auto pids = pool_.pids();
    EXPECT_TRUE(std::find(pids.begin(), pids.end(), error.pid()) == pids.end());
  }

  Pool pool_{2};
  const int how_ = static_cast<int>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(All, WorkerDeath, ::testing::ValuesIn(kDeaths), name_of_death);

int die_at_37(int how, int x) {
  if (x == 37) die(static_cast<Death>(how));
  return x;
}
void die_as(int how) { die(static_cast<Death>(how)); }

TEST_P(WorkerDeath, InApply) {
  expect_died(thrown_by<WorkerDied>([&] { pool_.apply(die_as, how_); }), 0);
  expect_works(pool_);
}

TEST_P(WorkerDeath, InApplyAsync) {
  std::vector<AsyncResult<int>> answers;
  for (const int x : numbers(100)) answers.push_back(pool_.apply_async(die_at_37, how_, x));
  for (int x = 0; x < 100; ++x) {
    auto& answer = answers[static_cast<std::size_t>(x)];
    if (x == 37) {
      expect_died(thrown_by<WorkerDied>([&] { answer.get(); }), 0);
    } else {
      EXPECT_EQ(answer.get(), x);
    }
  }
  expect_works(pool_);
}

// Chunks, so that the task dies in the midst of others of its frame.
TEST_P(WorkerDeath, InMap) {
  for (const std::size_t chunksize : {0U, 1U, 10U, 100U}) {
    const auto list = pool_.with({.chunksize = chunksize});
    const auto task = brood::bind(die_at_37, how_);
    expect_died(thrown_by<WorkerDied>([&] { list.map(task, numbers(100)); }), 37);
    expect_died(thrown_by<WorkerDied>([&] { list.map_async(task, numbers(100)).get(); }), 37);
  }
  expect_works(pool_);
}

TEST_P(WorkerDeath, InStreamsTheOthersGoOn) {
  for (const std::size_t chunksize : {0U, 1U, 4U, 100U}) {
    const auto list = pool_.with({.chunksize = chunksize});
    auto stream = list.imap(brood::bind(die_at_37, how_), numbers(100));
    for (int x = 0; x < 100; ++x) {
      if (x == 37) {
        expect_died(thrown_by<WorkerDied>([&] { stream.next(); }), 37);
      } else {
        EXPECT_EQ(stream.next(), x);
      }
    }
    EXPECT_FALSE(stream.next());
    EXPECT_TRUE(stream.done());
    EXPECT_EQ(stream.completed(), 100U);

    auto unordered = list.imap_unordered(brood::bind(die_at_37, how_), numbers(100));
    std::vector<int> got;
    int deaths = 0;
    while (!unordered.done()) {
      try {
        if (const auto x = unordered.next()) got.push_back(*x);
      } catch (const WorkerDied& error) {
        expect_died(error, 37);
        ++deaths;
      }
    }
    EXPECT_EQ(deaths, 1);
    std::sort(got.begin(), got.end());
    std::vector<int> expected = numbers(100);
    std::erase(expected, 37);
    EXPECT_EQ(got, expected);
  }
  expect_works(pool_);
}

TEST_P(WorkerDeath, WhileOthersWork) {
  auto slow = pool_.apply_async([](int ms) { return sleep_ms(ms), ms; }, 50);
  EXPECT_THROW(pool_.apply(die_as, how_), WorkerDied);
  EXPECT_EQ(slow.get(), 50);
  expect_works(pool_);
}

TEST_P(WorkerDeath, OneAfterTheOther) {
  for (int i = 0; i < 10; ++i) EXPECT_THROW(pool_.apply(die_as, how_), WorkerDied);
  EXPECT_EQ(pool_.stats().restarts, 10U);
  expect_works(pool_);
}

TEST_P(WorkerDeath, EveryTask) {
  auto stream = pool_.with({.chunksize = 4}).imap([](int how) { die_as(how); }, std::vector<int>(40, how_));
  int deaths = 0;
  while (!stream.done()) {
    try {
      if (stream.next()) ADD_FAILURE() << "a dead task has a result";
    } catch (const WorkerDied&) {
      ++deaths;
    }
  }
  EXPECT_EQ(deaths, 40);
  expect_works(pool_);
}

// --- not in a task -----------------------------------------------------------------------------------------

TEST(IdleWorker, Killed) {
  Pool pool(3);
  expect_works(pool);
  for (const pid_t pid : pool.pids()) ::kill(pid, SIGKILL);
  expect_recovers(pool);
  const auto pids = pool.pids();
  ::kill(pids.front(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return !is_running(pids.front()); }));
  expect_works(pool);  // it was dead before the first task
  // The fourth may have hit one of the first three.
  EXPECT_TRUE(eventually([&] { return pool.stats().restarts >= 3U; }));
  EXPECT_LE(pool.stats().restarts, 4U);
}

TEST(IdleWorker, KilledBeforeItIsReady) {
  for (std::size_t round = 0; round < scaled(20); ++round) {
    Pool pool(2);
    const auto pids = pool.pids();
    ASSERT_EQ(pids.size(), 2U);
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    expect_recovers(pool);
  }
}

TEST(IdleWorker, KilledTwiceInARow) {
  Pool pool(1);
  for (std::size_t round = 0; round < scaled(50); ++round) {
    const pid_t pid = pool.pids().front();
    ::kill(pid, SIGKILL);
    if (round % 2 == 0) {
      try {
        EXPECT_EQ(pool.apply(negate, 1), -1);
      } catch (const WorkerDied& error) {
        EXPECT_EQ(error.pid(), pid);
      }
    }
    ASSERT_TRUE(eventually([&] { return pool.pids().front() != pid; }));
  }
  expect_works(pool);
}

TEST(IdleWorker, KilledJustBeforeTheEnd) {
  for (std::size_t round = 0; round < scaled(20); ++round) {
    Pool pool(2);
    pool.apply(negate, 1);
    ::kill(pool.pids()[round % 2], SIGKILL);
  }
}

TEST(Worker, ThatIsStoppedIsKilledAtTheEnd) {
  Pool pool(2);
  expect_works(pool);
  ::kill(pool.pids().front(), SIGSTOP);
  pool.terminate();
  pool.join();
}

// Tasks that kill other workers than their own, and possibly their own.
TEST(Worker, KillEachOther) {
  for (const unsigned n : {1U, 2U, 5U, 13U}) {
    Pool pool(n);
    const std::vector<pid_t> pids = pool.pids();
    auto stream = pool.with({.chunksize = 1}).imap([](pid_t pid) { ::kill(pid, SIGKILL); }, pids);
    unsigned answers = 0;
    while (!stream.done()) {
      try {
        answers += stream.next() ? 1U : 0U;
      } catch (const WorkerDied& error) {
        EXPECT_EQ(error.signal(), SIGKILL);
        ++answers;
      }
    }
    EXPECT_EQ(answers, n);
    expect_recovers(pool);
  }
}

TEST(Worker, DiesWithAResultOnItsWay) {
  // Larger than the ring, so that the worker is in the middle of its result when it is killed.
  Pool pool(2);
  for (std::size_t round = 0; round < scaled(10); ++round) {
    auto answer = pool.apply_async([] { return std::vector<double>(2'000'000, 1.0); });
    sleep_ms(static_cast<int>(round));
    for (const pid_t pid : pool.pids()) ::kill(pid, SIGKILL);
    try {
      EXPECT_EQ(answer.get().size(), 2'000'000U);
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.signal(), SIGKILL);
    }
  }
  expect_recovers(pool);
}

TEST(Worker, DiesWithAnArgumentOnItsWay) {
  Pool pool(2);
  const std::vector<double> large(2'000'000, 1.0);
  const auto count = [](const std::vector<double>& x) { return x.size(); };
  for (std::size_t round = 0; round < scaled(10); ++round) {
    auto first = pool.apply_async(count, large);
    auto second = pool.apply_async(count, large);
    for (const pid_t pid : pool.pids()) ::kill(pid, SIGKILL);
    for (auto* answer : {&first, &second}) {
      try {
        EXPECT_EQ(answer->get(), large.size());
      } catch (const WorkerDied& error) {
        EXPECT_EQ(error.signal(), SIGKILL);
      }
    }
  }
  expect_recovers(pool);
}

}  // namespace
}  // namespace brood::pool_tests
