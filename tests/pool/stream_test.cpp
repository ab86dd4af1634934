// imap and imap_unordered: order, bounds, errors, time limits, early ends.
#include <algorithm>
#include <forward_list>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// Numbers without end that know how many were asked for.
auto counted(int& count) {
  return Endless(0, [&count](int x) {
    ++count;
    return x;
  });
}

TEST(Stream, InOrder) {
  Pool pool(3);
  const auto uneven = [](int x) {
    ::usleep(static_cast<useconds_t>(x * 7919 % 11) * 50);
    return -x;
  };
  for (const std::size_t chunksize : {0U, 1U, 7U}) {
    int next = 0;
    for (const int x : pool.with({.chunksize = chunksize}).imap(uneven, numbers(300))) EXPECT_EQ(x, -next++);
    EXPECT_EQ(next, 300);
  }
}

TEST(Stream, UnorderedComesAsTheyComplete) {
  constexpr int kCount = 4;
  Counters gates(kCount);
  Pool pool(kCount);
  for (int round = 0; round < 5; ++round) {
    for (Counter& gate : gates) gate = 0;
    auto stream = pool.with({.chunksize = 1})
                      .imap_unordered([gates = gates.get()](int x) { return await(gates[x]), x; }, numbers(kCount));
    for (int x = kCount - 1; x >= 0; --x) {
      gates[static_cast<std::size_t>(x)] = 1;
      EXPECT_EQ(stream.next(), x);
    }
    EXPECT_FALSE(stream.next());
  }
}

TEST(Stream, ReadsItsInputAWindowAhead) {
  Pool pool(2);
  for (const std::size_t window : {1U, 2U, 10U, 100U}) {
    for (const std::size_t chunksize : {0U, 1U, 4U, 1000U}) {
      for (const bool ordered : {true, false}) {
        int read = 0;
        const auto with = pool.with({.chunksize = chunksize, .window = window});
        auto stream = ordered ? with.imap(negate, counted(read)) : with.imap_unordered(negate, counted(read));
        EXPECT_EQ(read, 0) << "nothing is read before a result is wanted";
        for (int consumed = 0; consumed < 300; ++consumed) {
          ASSERT_LE(read, consumed + static_cast<int>(window)) << "window " << window << ", chunksize " << chunksize;
          ASSERT_TRUE(stream.next());
        }
        ASSERT_LE(read, 299 + static_cast<int>(window));
      }
    }
  }
}

TEST(Stream, ReadsItsInputABoundedWayAheadByItself) {
  Pool pool(2);
  int read = 0;
  auto stream = pool.imap([](int x) { return ::usleep(100), x; }, counted(read));
  for (int consumed = 0; consumed < 500; ++consumed) {
    ASSERT_EQ(stream.next(), consumed);
    ASSERT_LE(read, consumed + 10'000);
  }
  const int before = read;
  sleep_ms(50);  // a slow consumer
  EXPECT_EQ(read, before);
}

TEST(Stream, TasksGoOnWhileTheConsumerIsSlow) {
  Counters ended;
  Pool pool(2);
  auto stream = pool.with({.chunksize = 1, .window = 20})
                    .imap([ended = ended.get()](int x) { return ++*ended, x; }, numbers(100));
  EXPECT_EQ(stream.next(), 0);
  // Of the window, not of the input.
  EXPECT_TRUE(eventually([&] { return *ended >= 10; }));
  EXPECT_LE(*ended, 21);
  sleep_ms(20);
  EXPECT_LE(*ended, 21);
}

TEST(Stream, Counts) {
  Pool pool(2);
  auto stream = pool.imap(negate, numbers(100));
  EXPECT_EQ(stream.total(), 100U);
  EXPECT_EQ(stream.size_hint(), 100U);
  EXPECT_FALSE(stream.done());
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(stream.next());
    EXPECT_GE(stream.completed(), std::max(before, i + 1));
    before = stream.completed();
    EXPECT_LE(before, 100U);
  }
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.done());
  EXPECT_EQ(stream.completed(), 100U);
  EXPECT_FALSE(stream.next());

  auto endless = pool.imap(negate, Endless(0));
  EXPECT_FALSE(endless.total());
  EXPECT_FALSE(endless.size_hint());
  EXPECT_EQ(pool.imap(negate, std::forward_list{3, 4}).total(), std::nullopt);
}

TEST(Stream, IsAnInputRange) {
  static_assert(std::ranges::input_range<ResultStream<int>>);
  static_assert(!std::copyable<ResultStream<int>> && std::movable<ResultStream<int>>);
  Pool pool(2);
  auto stream = pool.imap(negate, numbers(5));
  std::vector<int> got;
  std::ranges::copy(stream, std::back_inserter(got));
  EXPECT_EQ(got, (std::vector{0, -1, -2, -3, -4}));
  auto strings = pool.imap([](int x) { return std::to_string(x); }, numbers(3));
  std::vector<std::string> moved;
  for (auto& text : strings) moved.push_back(std::move(text));
  EXPECT_EQ(moved, (std::vector<std::string>{"0", "1", "2"}));
}

TEST(Stream, MovedAndAssigned) {
  Pool pool(2);
  auto first = pool.imap(negate, numbers(10));
  EXPECT_EQ(first.next(), 0);
  auto second = std::move(first);
  EXPECT_EQ(second.next(), -1);
  second = pool.imap(twice, numbers(10));
  EXPECT_EQ(second.next(), 0);
  EXPECT_EQ(second.next(), 2);
  EXPECT_TRUE(first.done());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(first.next());
  std::swap(first, second);
  EXPECT_EQ(first.next(), 4);
}

TEST(Stream, TimeLimits) {
  Counters gate;
  Pool pool(2);
  auto stream = pool.imap([gate = gate.get()](int x) { return await(*gate), x; }, numbers(3));
  EXPECT_FALSE(stream.next_for(0s));
  EXPECT_FALSE(stream.next_for(-1s));
  EXPECT_FALSE(stream.next_for(2ms));
  EXPECT_FALSE(stream.done());
  *gate = 1;
  EXPECT_EQ(stream.next_for(1h), 0);
  EXPECT_EQ(stream.next_for(std::chrono::hours(24 * 365 * 200)), 1);
  EXPECT_EQ(stream.next(), 2);
  EXPECT_FALSE(stream.next_for(1h));
  EXPECT_TRUE(stream.done());
}

// --- errors ------------------------------------------------------------------------------------------------

TEST(Stream, GoesOnAfterATasksError) {
  Pool pool(2);
  for (const std::size_t chunksize : {0U, 1U, 10U}) {
    auto stream = pool.with({.chunksize = chunksize})
                      .imap(
                          [](int x) {
                            if (x % 3 == 1) throw std::out_of_range(std::to_string(x));
                            return x;
                          },
                          numbers(100));
    for (int x = 0; x < 100; ++x) {
      if (x % 3 == 1) {
        EXPECT_EQ(thrown_by<RemoteError>([&] { stream.next(); }).task_index(), static_cast<std::uint64_t>(x));
      } else {
        EXPECT_EQ(stream.next(), x);
      }
    }
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(stream.completed(), 100U);
  }
}

TEST(Stream, ErrorEndsTheLoop) {
  Pool pool(2);
  int seen = 0;
  const auto loop = [&] {
    for ([[maybe_unused]] const int x :
         pool.imap([](int v) { return v == 7 ? throw std::out_of_range("7") : v; }, Endless(0))) {
      ++seen;
    }
  };
  EXPECT_THROW(loop(), std::out_of_range);
  EXPECT_EQ(seen, 7);
  expect_works(pool);
}

// What the input throws comes after all results before it, once.
TEST(Stream, InputThatThrows) {
  Pool pool(2);
  for (const std::size_t chunksize : {0U, 1U, 2U, 4U}) {
    for (const std::size_t window : {0U, 1U, 3U}) {
      for (const int bad : {0, 1, 2, 3, 4, 5, 50}) {
        auto stream = pool.with({.chunksize = chunksize, .window = window}).imap(negate, Endless(0, [bad](int x) {
                                                                                   if (x == bad)
                                                                                     throw std::domain_error("input");
                                                                                   return x;
                                                                                 }));
        for (int x = 0; x < bad; ++x) ASSERT_EQ(stream.next(), -x) << chunksize << " " << window << " " << bad;
        EXPECT_FALSE(stream.done());
        EXPECT_THROW(stream.next(), std::domain_error);
        EXPECT_TRUE(stream.done());
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(stream.completed(), static_cast<std::uint64_t>(bad));
      }
    }
  }
  expect_works(pool);
}

TEST(Stream, InputThatThrowsInLists) {
  Pool pool(2);
  for (const std::size_t chunksize : {0U, 1U, 2U, 4U}) {
    for (const int bad : {0, 1, 2, 3, 4, 5, 50}) {
      const auto read = [bad](int x) {
        if (x == bad) throw std::domain_error("input");
        return x;
      };
      const Counted input(100, read);
      const auto list = pool.with({.chunksize = chunksize});
      EXPECT_THROW(list.map(negate, input), std::domain_error);
      EXPECT_THROW(list.map_async(negate, input), std::domain_error);
      const auto tuples = Counted(100, [read](int x) { return std::tuple(read(x)); });
      EXPECT_THROW(list.starmap(negate, tuples), std::domain_error);
      EXPECT_THROW(list.starmap_async(negate, tuples), std::domain_error);
    }
  }
  expect_works(pool);
}

// --- the end -----------------------------------------------------------------------------------------------

TEST(Stream, DestroyedEarly) {
  Counters runs;
  Pool pool(2);
  for (std::size_t round = 0; round < scaled(200); ++round) {
    auto stream =
        pool.with({.chunksize = 1 + round % 5}).imap([runs = runs.get()](int x) { return ++*runs, x; }, Endless(0));
    for (std::size_t i = 0; i < round % 10; ++i) EXPECT_EQ(stream.next(), static_cast<int>(i));
  }
  expect_works(pool);
  const int ran = *runs;
  sleep_ms(10);
  EXPECT_EQ(*runs, ran) << "dropped tasks do not run";
}

TEST(Stream, NeverAsked) {
  Pool pool(2);
  {
    auto stream = pool.imap(negate, Endless(0));
    auto unordered = pool.imap_unordered(negate, numbers(10));
  }
  expect_works(pool);
}

TEST(Stream, DestroyedWithLargeValuesOnTheirWay) {
  Pool pool(2);
  const std::vector<std::vector<double>> input(6, std::vector<double>(500'000, 1.0));
  for (std::size_t round = 0; round < scaled(20); ++round) {
    auto stream = pool.imap([](const std::vector<double>& x) { return x; }, input);
    if (round % 3 != 0) {
      EXPECT_EQ(stream.next()->size(), 500'000U);
    }
    if (round % 3 == 2) static_cast<void>(stream.next_for(1ms));
  }
  expect_works(pool);
}

TEST(Stream, OutlivesThePool) {
  auto pool = std::make_unique<Pool>(2);
  auto begun = std::make_optional(pool->with({.window = 5}).imap(negate, numbers(100)));
  auto finished = pool->imap(negate, numbers(3));
  auto fresh = pool->imap(negate, numbers(3));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(begun->next(), -x);
  while (finished.next()) {
  }
  pool.reset();
  EXPECT_TRUE(finished.done());
  EXPECT_FALSE(finished.next());
  // What was answered may still come, then it says that the pool has ended.
  EXPECT_THROW(
      {
        for (int x = 10; const auto value = begun->next(); ++x) EXPECT_EQ(*value, -x);
      },
      Error);
  EXPECT_THROW(fresh.next(), Error);
  begun.reset();
}

TEST(Stream, ManySideBySide) {
  Pool pool(2);
  std::vector<ResultStream<int>> streams;
  for (int i = 0; i < 50; ++i) streams.push_back(pool.imap(negate, Endless(i)));
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 50; ++i) ASSERT_EQ(streams[static_cast<std::size_t>(i)].next(), -(i + round));
  }
}

}  // namespace
}  // namespace brood::pool_tests
