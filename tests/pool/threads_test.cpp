// One pool and many threads, many pools, pools in pools.
#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

void in_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&body, t] { body(t); });
  for (auto& thread : threads) thread.join();
}

std::vector<int> negated(int first, int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(-(first + i));
  return all;
}
std::vector<int> range(int first, int count) {
  auto all = numbers(count);
  for (int& x : all) x += first;
  return all;
}

TEST(Threads, ShareAPoolWithEveryVerb) {
  Pool pool(2);
  in_threads(8, [&](int t) {
    for (std::size_t round = 0; round < scaled(30); ++round) {
      const int first = t * 1000 + static_cast<int>(round);
      const auto input = range(first, 200);
      std::vector<std::tuple<int>> tuples(input.begin(), input.end());
      const auto expected = negated(first, 200);
      switch ((static_cast<std::size_t>(t) + round) % 8) {
        case 0:
          for (int i = 0; i < 50; ++i) EXPECT_EQ(pool.apply(negate, first + i), expected[static_cast<std::size_t>(i)]);
          break;
        case 1: {
          std::vector<AsyncResult<int>> answers;
          for (const int x : input) answers.push_back(pool.apply_async(negate, x));
          for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].get(), expected[i]);
          break;
        }
        case 2:
          EXPECT_EQ(pool.map(negate, input), expected);
          break;
        case 3:
          EXPECT_EQ(pool.map_async(negate, input).get(), expected);
          break;
        case 4:
          EXPECT_EQ(pool.starmap(negate, tuples), expected);
          break;
        case 5:
          EXPECT_EQ(pool.starmap_async(negate, tuples).get(), expected);
          break;
        case 6: {
          std::vector<int> got;
          for (const int x : pool.with({.window = 10}).imap(negate, input)) got.push_back(x);
          EXPECT_EQ(got, expected);
          break;
        }
        default: {
          std::vector<int> got;
          for (const int x : pool.imap_unordered(negate, input)) got.push_back(x);
          std::sort(got.rbegin(), got.rend());
          EXPECT_EQ(got, expected);
        }
      }
    }
  });
  expect_works(pool);
}

TEST(Threads, WithErrorsEachItsOwn) {
  Pool pool(2);
  in_threads(6, [&](int t) {
    for (std::size_t round = 0; round < scaled(50); ++round) {
      const auto task = [t](int x) {
        if (x == t) throw std::out_of_range(std::to_string(t));
        return x;
      };
      EXPECT_EQ(std::string(thrown_by<std::out_of_range>([&] { pool.map(task, numbers(20)); }).what()),
                std::to_string(t));
      EXPECT_EQ(pool.map(task, range(100, 20)), range(100, 20));
    }
  });
}

TEST(Threads, LargeDataAtTheSameTime) {
  Pool pool(2);
  in_threads(4, [&](int t) {
    const std::vector<double> large(scaled(300'000), t);
    const auto echo = [](const std::vector<double>& x) { return x; };
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(pool.apply(echo, large), large);
      EXPECT_EQ(pool.apply_async(echo, large).get(), large);
      EXPECT_EQ(pool.map(echo, std::vector(3, large)).at(2), large);
    }
  });
}

TEST(Threads, StreamsSideBySide) {
  Pool pool(2);
  in_threads(4, [&](int t) {
    auto endless = pool.imap(negate, Endless(t * 100'000));
    auto other = pool.with({.window = 3}).imap(twice, Endless(0));
    for (int i = 0; i < static_cast<int>(scaled(2000)); ++i) {
      EXPECT_EQ(endless.next(), -(t * 100'000 + i));
      if (i % 5 == 0) {
        EXPECT_EQ(other.next(), 2 * (i / 5));
      }
    }
  });
  expect_works(pool);
}

TEST(Threads, EachWithItsOwnPool) {
  in_threads(6, [](int t) {
    for (std::size_t round = 0; round < scaled(10); ++round) {
      Pool pool(2);
      EXPECT_EQ(pool.map(negate, range(t, 100)), negated(t, 100));
      auto answer = pool.apply_async(negate, t);
      EXPECT_EQ(answer.get(), -t);
    }
  });
}

// Workers are no children of the thread: they do not die with it.
TEST(Threads, PoolOutlivesTheThreadThatMadeIt) {
  std::optional<Pool> pool;
  std::thread([&] {
    pool.emplace(2);
    expect_works(*pool);
  }).join();
  const auto pids = pool->pids();
  sleep_ms(20);
  expect_works(*pool);
  EXPECT_EQ(pool->pids(), pids);
  // Nor do those that replace others.
  std::thread([&] {
    ::kill(pids[0], SIGKILL);
    EXPECT_TRUE(eventually([&] { return pool->pids()[0] != pids[0]; }));
  }).join();
  const auto later = pool->pids();
  sleep_ms(20);
  expect_works(*pool);
  EXPECT_EQ(pool->pids(), later);
  std::thread([&] { pool.reset(); }).join();
  EXPECT_FALSE(has_children());
}

TEST(Threads, ComeAndGo) {
  Pool pool(2);
  for (std::size_t i = 0; i < scaled(200); ++i) {
    std::thread([&] { EXPECT_EQ(pool.apply(negate, 5), -5); }).join();
  }
}

TEST(Threads, StatsAndPidsAtAnyTime) {
  Pool pool(2);
  std::atomic<bool> stop{false};
  std::thread looker([&] {
    while (!stop) {
      EXPECT_EQ(pool.pids().size(), 2U);
      EXPECT_EQ(pool.stats().workers.size(), 2U);
    }
  });
  for (std::size_t i = 0; i < scaled(50); ++i) expect_works(pool);
  stop = true;
  looker.join();
  EXPECT_EQ(pool.stats().tasks, scaled(50) * 201);
}

TEST(Threads, UseAPoolWithinTheirOwnTasks) {
  // A task's threads are the task's affair.
  Pool pool(2);
  EXPECT_EQ(pool.map(
                    [](int x) {
                      int sum = 0;
                      std::thread([&] { sum = 2 * x; }).join();
                      return sum;
                    },
                    numbers(20))
                .at(19),
            38);
}

// --- pools in pools ----------------------------------------------------------------------------------------

int nested_sum(int depth, int x) {
  if (depth == 0) return x;
  Pool pool(2);
  const auto parts = pool.map(brood::bind(nested_sum, depth - 1), std::vector{x, x + 1});
  return parts[0] + parts[1];
}

TEST(NestedPools, ThreeDeep) {
  Pool pool(2);
  EXPECT_EQ(pool.map(brood::bind(nested_sum, 2), numbers(4)), (std::vector{4, 8, 12, 16}));
  EXPECT_EQ(pool.apply(nested_sum, 3, 1), 20);
}

TEST(NestedPools, KeptInTheWorker) {
  Pool pool(2);
  const auto task = [](int x) {
    static Pool inner(1);
    return inner.apply(negate, x);
  };
  for (int round = 0; round < 10; ++round) EXPECT_EQ(pool.map(task, numbers(20)), negated(0, 20));
}

TEST(NestedPools, SideBySide) {
  Pool first(2);
  Pool second(2);
  Pool third(1);
  auto stream = first.imap(negate, Endless(0));
  for (int i = 0; i < 500; ++i) {
    const int x = *stream.next();
    EXPECT_EQ(second.apply(negate, x), i);
    EXPECT_EQ(third.apply_async(negate, x).get(), i);
  }
}

// The input of one pool is the output of another.
TEST(NestedPools, Pipeline) {
  Pool first(2);
  Pool second(2);
  int expected = 0;
  for (const int x : second.imap(negate, first.imap(twice, numbers(1000)))) {
    EXPECT_EQ(x, -2 * expected);
    ++expected;
  }
  EXPECT_EQ(expected, 1000);
}

}  // namespace
}  // namespace brood::pool_tests
