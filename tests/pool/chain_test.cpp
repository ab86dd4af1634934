// Inputs that use the pool themselves: streams of the same pool, and ranges made of them.
#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>

#include "pool/processes.hpp"
#include "pool/support.hpp"
#include "support/ranges.hpp"
#if BROOD_TEST_VIEWS
#include <ranges>
#endif

namespace brood::pool_tests {
namespace {

template <class R>
std::vector<R> drain(ResultStream<R> stream) {
  std::vector<R> all;
  while (auto value = stream.next()) all.push_back(std::move(*value));
  EXPECT_TRUE(stream.done());
  return all;
}

std::vector<int> all_of(int count, int factor) {
  std::vector<int> all = numbers(count);
  for (int& x : all) x *= factor;
  return all;
}

class Chain : public ::testing::TestWithParam<TaskOptions> {
 protected:
  Pool pool_{2};
  PoolWith with_ = pool_.with(GetParam());
};

TEST_P(Chain, StreamsOfStreams) {
  const int count = static_cast<int>(scaled(3000));
  EXPECT_EQ(drain(with_.imap(twice, with_.imap(negate, numbers(count)))), all_of(count, -2));
  EXPECT_EQ(drain(with_.imap(negate, with_.imap(twice, with_.imap(negate, numbers(count))))), all_of(count, 2));
  std::vector<int> unordered = drain(with_.imap_unordered(twice, with_.imap_unordered(negate, numbers(count))));
  std::sort(unordered.rbegin(), unordered.rend());
  EXPECT_EQ(unordered, all_of(count, -2));
  EXPECT_EQ(drain(with_.imap(twice, with_.imap(negate, std::vector<int>{}))), std::vector<int>{});
  EXPECT_EQ(drain(with_.imap(twice, with_.imap(negate, std::vector{21}))), std::vector{-42});
}

TEST_P(Chain, ListsOfStreams) {
  const int count = static_cast<int>(scaled(3000));
  EXPECT_EQ(with_.map(twice, with_.imap(negate, numbers(count))), all_of(count, -2));
  EXPECT_EQ(with_.map_async(twice, with_.imap(negate, numbers(count))).get(), all_of(count, -2));
  ResultStream<int> named = with_.imap(negate, numbers(count));
  EXPECT_EQ(with_.map(twice, named), all_of(count, -2));
  EXPECT_TRUE(named.done());
}

// A single-pass range made of a stream, of which no more is known than that.
template <class R>
class Through {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = R;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Through& range) : range_(&range), base_(range.stream_.begin()) {}
    R operator*() const { return *base_; }
    Iterator& operator++() {
      ++base_;
      --range_->most_;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t end) const { return range_->most_ == 0 || base_ == end; }

   private:
    Through* range_;
    typename ResultStream<R>::Iterator base_;
  };

  Through(ResultStream<R> stream, int most) : stream_(std::move(stream)), most_(most) {}
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  ResultStream<R> stream_;
  int most_;
};

TEST_P(Chain, RangesOfStreams) {
  const int count = static_cast<int>(scaled(2000));
  EXPECT_EQ(drain(with_.imap(twice, Through(with_.imap(negate, numbers(count)), 2 * count))), all_of(count, -2));
  EXPECT_EQ(drain(with_.imap(twice, Through(with_.imap(twice, with_.imap(negate, numbers(count))), count))),
            all_of(count, -4));
  EXPECT_EQ(drain(with_.imap(negate, with_.imap(twice, Through(with_.imap(negate, numbers(count)), count)))),
            all_of(count, 2));
  EXPECT_EQ(with_.map(twice, Through(with_.imap(negate, numbers(count)), 5)), all_of(5, -2));
}

#if BROOD_TEST_VIEWS
TEST_P(Chain, ViewsOfStreams) {
  const int count = static_cast<int>(scaled(2000));
  EXPECT_EQ(
      drain(with_.imap(twice, with_.imap(negate, numbers(count)) | std::views::transform([](int x) { return x; }))),
      all_of(count, -2));
  EXPECT_EQ(drain(with_.imap(twice, with_.imap(twice, with_.imap(negate, numbers(count)) | std::views::take(count)) |
                                        std::views::filter([](int x) { return x % 2 == 0; }))),
            all_of(count, -4));
  EXPECT_EQ(with_.map(twice, with_.imap(negate, numbers(count)) | std::views::take(5)), all_of(5, -2));
}
#endif

TEST_P(Chain, LargeValues) {
  const auto make = [](int x) { return std::string(static_cast<std::size_t>(x) * 40'000, 'a'); };
  const auto size = [](const std::string& text) { return static_cast<int>(text.size()); };
  EXPECT_EQ(drain(with_.imap(size, with_.imap(make, numbers(20)))), all_of(20, 40'000));
}

// Another pool's results, which that pool works on while this one waits for its input.
TEST_P(Chain, OfTwoPools) {
  const int count = static_cast<int>(scaled(1000));
  Pool other(2);
  EXPECT_EQ(drain(with_.imap(twice, other.imap(negate, numbers(count)))), all_of(count, -2));
  EXPECT_EQ(drain(with_.imap(twice, other.imap(negate, with_.imap(twice, numbers(count))))), all_of(count, -4));
}

INSTANTIATE_TEST_SUITE_P(Options, Chain,
                         ::testing::Values(TaskOptions{}, TaskOptions{.chunksize = 1}, TaskOptions{.chunksize = 7},
                                           TaskOptions{.window = 1}, TaskOptions{.window = 5}));

// The exception of a task of the first call is what the input throws: after the results before it.
TEST(Chains, ErrorsAtTheirPlace) {
  Pool pool(2);
  const auto fails_at = [](int place) {
    return [place](int x) { return x == place ? throw std::out_of_range("task") : x; };
  };
  for (const int place : {0, 1, 5, 19}) {
    auto stream = pool.imap(twice, pool.imap(fails_at(place), numbers(20)));
    for (int i = 0; i < place; ++i) EXPECT_EQ(stream.next(), 2 * i);
    EXPECT_THROW(stream.next(), std::out_of_range);
    EXPECT_EQ(stream.next(), std::nullopt);
    EXPECT_TRUE(stream.done());
    // One of the second call's own is at its own place, and the stream goes on after it.
    auto second = pool.imap(fails_at(place), pool.imap(negate, all_of(20, -1)));
    for (int i = 0; i < 20; ++i) {
      if (i == place) {
        EXPECT_THROW(second.next(), std::out_of_range);
      } else {
        EXPECT_EQ(second.next(), i);
      }
    }
    EXPECT_EQ(second.next(), std::nullopt);
    EXPECT_THROW(pool.map(twice, pool.imap(fails_at(place), numbers(20))), std::out_of_range);
    EXPECT_THROW(pool.map(fails_at(place), pool.imap(negate, all_of(20, -1))), std::out_of_range);
  }
  expect_works(pool);
}

TEST(Chains, DeathsAtTheirPlace) {
  Pool pool(2);
  const auto dies_at_7 = [](int x) { return x == 7 ? (die(Death::killed), 0) : x; };
  auto stream = pool.imap(twice, pool.imap(dies_at_7, numbers(20)));
  for (int i = 0; i < 7; ++i) EXPECT_EQ(stream.next(), 2 * i);
  EXPECT_THROW(stream.next(), WorkerDied);
  auto second = pool.imap(dies_at_7, pool.imap(twice, numbers(20)));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(second.next(), 2 * i);
  expect_recovers(pool);
}

// Neither call reads its input further than its window.
TEST(Chains, MemoryIsBounded) {
  Pool pool(2);
  int given = 0;
  const Endless endless(0, [&given](int x) {
    given = std::max(given, x + 1);
    return x;
  });
  auto stream = pool.with({.window = 4}).imap(twice, pool.with({.window = 6}).imap(negate, endless));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(stream.next(), -2 * i);
    ASSERT_LE(given, i + 1 + 4 + 6 + 1);
  }
}

// The second call's tasks run while the first one's are still being worked on.
TEST(Chains, ResultsDoNotWaitForLaterInput) {
  Counters gate(1);
  Pool pool(2);
  const auto first = [gate = gate.get()](int x) {
    if (x == 3) await(*gate);
    return x;
  };
  auto stream = pool.imap(twice, pool.imap(first, numbers(8)));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stream.next(), 2 * i);
  EXPECT_EQ(stream.next_for(10ms), std::nullopt);
  EXPECT_FALSE(stream.done());
  gate[0] = 1;
  for (int i = 3; i < 8; ++i) EXPECT_EQ(stream.next(), 2 * i);
  EXPECT_EQ(stream.next(), std::nullopt);
}

// Made without waiting, and polled without waiting.
TEST(Chains, AreLazy) {
  Counters gate(1);
  Pool pool(2);
  const auto waits = [gate = gate.get()](int x) {
    await(*gate);
    return x;
  };
  auto stream = pool.imap(twice, pool.imap(negate, pool.imap(waits, numbers(20))));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(stream.next_for(0ms), std::nullopt);
  gate[0] = 1;
  std::vector<int> all;
  while (!stream.done()) {
    if (const auto value = stream.next_for(0ms)) all.push_back(*value);
  }
  EXPECT_EQ(all, all_of(20, -2));
}

// All workers are used although one task of the first call takes its time.
TEST(Chains, OneSlowTaskHoldsUpNobody) {
  Counters done(1);
  Pool pool(3);
  const auto first = [done = done.get()](int x) {
    if (x == 0) {
      while (done->load() < 10) ::usleep(200);
    } else {
      done->fetch_add(1);
    }
    return x;
  };
  EXPECT_EQ(drain(pool.with({.window = 32}).imap(twice, pool.with({.window = 32}).imap(first, numbers(40)))),
            all_of(40, 2));
}

TEST(Chains, DroppedHalfWay) {
  Pool pool(2);
  for (int i = 0; i < 50; ++i) {
    auto stream = pool.imap(twice, pool.imap(negate, Endless(0)));
    for (int k = 0; k < i % 7; ++k) EXPECT_EQ(stream.next(), -2 * k);
  }
  expect_works(pool);
}

TEST(Chains, EndOfThePool) {
  std::optional<ResultStream<int>> stream;
  {
    Pool pool(2);
    stream.emplace(pool.imap(twice, pool.imap(negate, Endless(0))));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(stream->next(), -2 * i);
    pool.terminate();
    EXPECT_THROW(while (stream->next()){}, Cancelled);
  }
  stream.reset();
}

// While the second call waits for the first, and while it reads a range that does.
TEST(Chains, CtrlC) {
  for (const bool direct : {true, false}) {
    const int code = run_in_child([&] {
      Counters begun(1);
      Pool pool(2);
      const auto sleeps = [begun = begun.get()](int x) {
        begun->fetch_add(1);
        return (sleep_ms(100'000), x);
      };
      auto stream = direct ? pool.imap(twice, pool.imap(sleeps, numbers(5)))
                           : pool.imap(twice, Through(pool.imap(sleeps, numbers(5)), 5));
      std::thread other([&] {
        await(begun[0]);
        ::kill(::getpid(), SIGINT);
      });
      try {
        stream.next();
      } catch (const Interrupted&) {
        pool.terminate();
        other.join();
        return 0;
      }
      return 1;
    });
    EXPECT_EQ(code, 0) << direct;
  }
}

// Another thread has the turn nearly always.
TEST(Chains, WhileOthersUseThePool) {
  Pool pool(2);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) EXPECT_EQ(pool.with({.chunksize = 5}).map(negate, numbers(1000)), all_of(1000, -1));
  });
  std::thread calls([&] {
    while (!stop) EXPECT_EQ(pool.apply(negate, 5), -5);
  });
  for (std::size_t i = 0; i < scaled(30); ++i) {
    EXPECT_EQ(drain(pool.imap(twice, pool.imap(negate, numbers(200)))), all_of(200, -2));
    EXPECT_EQ(pool.map(twice, Through(pool.imap(negate, numbers(200)), 150)), all_of(150, -2));
  }
  stop = true;
  other.join();
  calls.join();
}

// A single-pass input may call the pool as it likes.
struct Calls {
  struct Iterator {
    using iterator_concept = std::input_iterator_tag;
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    Pool* pool = nullptr;
    int at = 0;
    int operator*() const { return pool->apply(twice, at); }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at == 20; }
  };
  Iterator begin() { return {pool, 0}; }
  std::default_sentinel_t end() { return {}; }
  Pool* pool;
};

TEST(Chains, InputsThatCallThePool) {
  Pool pool(2);
  EXPECT_EQ(pool.map(negate, Calls{&pool}), all_of(20, -2));
  EXPECT_EQ(drain(pool.imap(negate, Calls{&pool})), all_of(20, -2));
  EXPECT_EQ(pool.map_async(negate, Calls{&pool}).get(), all_of(20, -2));
  // Any other range is read by the pool while it is at work.
  const brood::testing::Counted calling(5, [&](int x) { return pool.apply(twice, x); });
  const auto error = thrown_by<ProcessError>([&] { pool.map(negate, calling); });
  EXPECT_NE(std::string(error.what()).find("single-pass"), std::string::npos) << error.what();
  expect_works(pool);
}

}  // namespace
}  // namespace brood::pool_tests
