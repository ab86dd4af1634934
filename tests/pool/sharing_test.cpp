// Nothing waits behind a running task while a worker is idle.
//
// No test looks at a clock: a task that would be overtaken waits for those that should overtake it. If they do not, the
// test never ends.
#include <algorithm>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class Sharing : public ::testing::Test {
 protected:
  // Task `slow` waits until all the others of `count` have ended.
  auto slow_one(int slow, int count) {
    *ended_ = 0;
    return [ended = ended_.get(), slow, count](int x) {
      if (x == slow) {
        while (*ended < count - 1) ::usleep(100);
      }
      ++*ended;
      return -x;
    };
  }
  // Until `count` of them are in it at the same time.
  auto meeting(int count) {
    *ended_ = 0;
    return [ended = ended_.get(), count](int x) {
      ++*ended;
      while (*ended < count) ::usleep(100);
      return -x;
    };
  }
  // The pool has learned that the function is fast.
  template <class F>
  static void train(Pool& pool, F f) {
    pool.map(f, std::vector<int>(20'000, -1));
  }

  Counters ended_;
};

std::vector<int> negated(int count) {
  auto all = numbers(count);
  for (int& x : all) x = -x;
  return all;
}

TEST_F(Sharing, OneSlowElementAnywhere) {
  for (const unsigned workers : {2U, 3U}) {
    Pool pool(workers);
    for (const std::size_t chunksize : {0U, 1U, 10U, 50U, 100U}) {
      const auto list = pool.with({.chunksize = chunksize});
      for (const int slow : {0, 1, 50, 99}) {
        EXPECT_EQ(list.map(slow_one(slow, 100), numbers(100)), negated(100));
        EXPECT_EQ(list.map_async(slow_one(slow, 100), numbers(100)).get(), negated(100));
      }
    }
  }
}

TEST_F(Sharing, OneSlowElementInStarmap) {
  Pool pool(2);
  std::vector<std::tuple<int>> tuples;
  for (const int x : numbers(100)) tuples.emplace_back(x);
  EXPECT_EQ(pool.with({.chunksize = 100}).starmap(slow_one(0, 100), tuples), negated(100));
  EXPECT_EQ(pool.with({.chunksize = 100}).starmap_async(slow_one(0, 100), tuples).get(), negated(100));
}

TEST_F(Sharing, OneSlowElementInStreams) {
  Pool pool(2);
  for (const std::size_t chunksize : {0U, 1U, 10U, 100U}) {
    for (const int slow : {0, 50, 99}) {
      std::vector<int> got;
      const auto list = pool.with({.chunksize = chunksize, .window = 200});
      for (const int x : list.imap(slow_one(slow, 100), numbers(100))) got.push_back(x);
      EXPECT_EQ(got, negated(100));
      got.clear();
      for (const int x : list.imap_unordered(slow_one(slow, 100), numbers(100))) got.push_back(x);
      std::sort(got.rbegin(), got.rend());
      EXPECT_EQ(got, negated(100));
    }
  }
}

// The stream's consumer gets what is ready while a task of an earlier chunk still runs.
TEST_F(Sharing, UnorderedResultsFlowPastASlowTask) {
  Counters gate;
  Pool pool(2);
  auto stream = pool.with({.chunksize = 5})
                    .imap_unordered(
                        [gate = gate.get()](int x) {
                          if (x == 0) await(*gate);
                          return x;
                        },
                        numbers(100));
  int others = 0;
  while (others < 99) {
    EXPECT_NE(stream.next(), 0);
    ++others;
  }
  *gate = 1;
  EXPECT_EQ(stream.next(), 0);
}

TEST_F(Sharing, ManyShortTasksAfterALongOne) {
  Pool pool(2);
  for (int round = 0; round < 5; ++round) {
    const auto task = slow_one(0, 300);
    std::vector<AsyncResult<int>> answers;
    for (const int x : numbers(300)) answers.push_back(pool.apply_async(task, x));
    for (const int x : numbers(300)) EXPECT_EQ(answers[static_cast<std::size_t>(x)].get(), -x);
  }
}

// Nobody waits in the pool: the service thread has to see to it.
TEST_F(Sharing, WithoutACallThatWaits) {
  Pool pool(2);
  const auto task = slow_one(0, 300);
  for (const int x : numbers(300)) pool.apply_async(task, x);
  EXPECT_TRUE(eventually([&] { return *ended_ == 300; }));
  const auto list = pool.with({.chunksize = 100}).map_async(slow_one(0, 100), numbers(100));
  EXPECT_TRUE(eventually([&] { return *ended_ == 100; }));
}

// The first is fast a thousand times, and then it is not.
TEST_F(Sharing, FunctionKnownAsFastThatTurnsSlow) {
  for (const unsigned workers : {2U, 4U}) {
    Pool pool(workers);
    for (int round = 0; round < 5; ++round) {
      const auto task = slow_one(0, 200);
      train(pool, task);
      *ended_ = 0;
      EXPECT_EQ(pool.map(task, numbers(200)), negated(200));
      *ended_ = 0;
      std::vector<AsyncResult<int>> answers;
      for (const int x : numbers(200)) answers.push_back(pool.apply_async(task, x));
      for (const int x : numbers(200)) EXPECT_EQ(answers[static_cast<std::size_t>(x)].get(), -x);
    }
  }
}

TEST_F(Sharing, AllWorkersAtOnce) {
  for (const unsigned workers : {1U, 2U, 5U, 8U}) {
    Pool pool(workers);
    const int count = static_cast<int>(workers);
    for (int round = 0; round < 5; ++round) {
      EXPECT_EQ(pool.map(meeting(count), numbers(count)), negated(count));
      EXPECT_EQ(pool.with({.chunksize = 8}).map(meeting(count), numbers(count)), negated(count));
      EXPECT_EQ(pool.map_async(meeting(count), numbers(count)).get(), negated(count));
      auto stream = pool.imap(meeting(count), numbers(count));
      for (int x = 0; x < count; ++x) EXPECT_EQ(stream.next(), -x);
      const auto task = meeting(count);
      std::vector<AsyncResult<int>> answers;
      for (const int x : numbers(count)) answers.push_back(pool.apply_async(task, x));
      for (const int x : numbers(count)) EXPECT_EQ(answers[static_cast<std::size_t>(x)].get(), -x);
    }
  }
}

TEST_F(Sharing, AllWorkersAtOnceAfterFastTasks) {
  Pool pool(4);
  for (int round = 0; round < 10; ++round) {
    const auto task = meeting(4);
    *ended_ = 4;
    train(pool, task);
    *ended_ = 0;
    EXPECT_EQ(pool.map(task, numbers(4)), negated(4));
    *ended_ = 0;
    std::vector<AsyncResult<int>> answers;
    for (const int x : numbers(4)) answers.push_back(pool.apply_async(task, x));
    for (auto& answer : answers) answer.wait();
  }
}

// Calls of several threads that need each other.
TEST_F(Sharing, AllWorkersAtOnceFromManyThreads) {
  Pool pool(4);
  for (std::size_t round = 0; round < scaled(50); ++round) {
    const auto task = meeting(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back([&, t] { EXPECT_EQ(pool.apply(task, t), -t); });
    for (auto& thread : threads) thread.join();
  }
}

// All but one are busy for good; the last one does everything.
TEST_F(Sharing, AllButOneBlocked) {
  Counters gates(2);
  Pool pool(4);
  std::vector<AsyncResult<void>> blocked;
  for (int i = 0; i < 3; ++i) {
    blocked.push_back(pool.apply_async([gates = gates.get()] {
      ++gates[0];
      await(gates[1]);
    }));
  }
  while (gates[0] < 3) ::usleep(100);
  EXPECT_EQ(pool.with({.chunksize = 10}).map(negate, numbers(200)), negated(200));
  EXPECT_EQ(pool.map(negate, numbers(2000)), negated(2000));
  EXPECT_EQ(pool.map_async(negate, numbers(200)).get(), negated(200));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pool.apply(negate, i), -i);
  auto stream = pool.imap(negate, numbers(1000));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(stream.next(), -i);
  gates[1] = 1;
}

TEST_F(Sharing, LargeArgumentsDoNotQueueBehindASlowTask) {
  Counters gate;
  Pool pool(2);
  auto slow = pool.apply_async([gate = gate.get()] { await(*gate); });
  const std::vector<double> large(500'000, 1.0);
  std::vector<AsyncResult<std::size_t>> answers;
  for (int i = 0; i < 6; ++i) {
    answers.push_back(pool.apply_async([](const std::vector<double>& x) { return x.size(); }, large));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get(), 500'000U);
  *gate = 1;
  slow.get();
}

// A worker that dies leaves what it had not begun to the others.
TEST_F(Sharing, WorkOfADeadWorker) {
  Counters gate;
  Pool pool(2);
  auto slow = pool.apply_async([gate = gate.get()] { await(*gate); });
  auto stream = pool.with({.chunksize = 50})
                    .imap(
                        [](int x) {
                          if (x == 0) die(Death::killed);
                          return -x;
                        },
                        numbers(50));
  EXPECT_THROW(stream.next(), WorkerDied);
  for (int x = 1; x < 50; ++x) EXPECT_EQ(stream.next(), -x);
  *gate = 1;
}

}  // namespace
}  // namespace brood::pool_tests
