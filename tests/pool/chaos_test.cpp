// Thousands of tasks while workers are killed at random moments: each task is answered exactly once, by its value or by
// WorkerDied, and none runs twice unless it may be retried.
#include "pool/chaos.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace brood::pool_tests {
namespace {

// A task counts its runs before it does anything else; now and then it has a result larger than the ring.
struct Job {
  Counter* runs;
  std::string operator()(int x) const {
    ++runs[x];
    const std::int64_t until_ns = os::now_ns() + (x % 16) * 10'000;
    while (os::now_ns() < until_ns) {
    }
    return x % 500 == 499 ? std::string(300'000, 'r') : std::to_string(x);
  }
};
bool is_result(int x, const std::string& result) {
  return x % 500 == 499 ? result.size() == 300'000 : result == std::to_string(x);
}

class Chaos : public ::testing::Test {
 protected:
  auto job() const {
    return [job = Job{runs_.get()}](int x) { return job(x); };
  }

  void begin() {
    for (Counter& run : runs_) run = 0;
    values_ = deaths_ = 0;
  }
  // The answer of task x.
  template <class Get>
  void expect_answer(int x, Get get) {
    try {
      EXPECT_TRUE(is_result(x, get())) << x;
      ++values_;
      EXPECT_EQ(runs_[static_cast<std::size_t>(x)], 1) << x;
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.signal(), SIGKILL);
      ++deaths_;
      EXPECT_LE(runs_[static_cast<std::size_t>(x)], 1) << x;
    }
  }
  void end(Killer& killer) {
    const int kills = killer.stop();
    EXPECT_EQ(values_ + deaths_, kTasks);
    EXPECT_LE(deaths_, kills);
    EXPECT_GT(values_, 0);
    for (Counter& run : runs_) EXPECT_LE(run, 1);
    RecordProperty("kills", kills);
    RecordProperty("deaths", deaths_);
  }

  const int kTasks = static_cast<int>(scaled(10'000));
  Counters runs_{static_cast<std::size_t>(kTasks)};
  Pool pool_{3};
  std::atomic<int> values_{0}, deaths_{0};
  ChaosClock clock_;
};

TEST_F(Chaos, Apply) {
  do {
    begin();
    Killer killer(pool_);
    for (int x = 0; x < kTasks; ++x) {
      expect_answer(x, [&] { return pool_.apply(job(), x); });
    }
    end(killer);
  } while (!clock_.over());
  expect_recovers(pool_);
}

TEST_F(Chaos, ApplyAsync) {
  do {
    begin();
    Killer killer(pool_);
    std::vector<AsyncResult<std::string>> answers;
    for (int x = 0; x < kTasks; ++x) answers.push_back(pool_.apply_async(job(), x));
    for (int x = 0; x < kTasks; ++x) {
      expect_answer(x, [&] { return std::move(answers[static_cast<std::size_t>(x)]).get(); });
    }
    end(killer);
  } while (!clock_.over());
  expect_recovers(pool_);
}

TEST_F(Chaos, Imap) {
  do {
    for (const std::size_t chunksize : {0U, 10U}) {
      begin();
      Killer killer(pool_);
      auto stream = pool_.with({.chunksize = chunksize}).imap(job(), numbers(kTasks));
      for (int x = 0; x < kTasks; ++x) {
        expect_answer(x, [&] { return stream.next().value(); });
      }
      EXPECT_FALSE(stream.next());
      end(killer);
    }
  } while (!clock_.over());
  expect_recovers(pool_);
}

TEST_F(Chaos, ImapUnordered) {
  do {
    begin();
    Killer killer(pool_);
    std::vector<bool> seen(static_cast<std::size_t>(kTasks));
    auto stream = pool_.with({.chunksize = 5})
                      .imap_unordered(
                          [job = Job{runs_.get()}](int x) {
                            job(x);
                            return x;
                          },
                          numbers(kTasks));
    const auto see = [&](std::uint64_t x) {
      ASSERT_FALSE(seen.at(x));
      seen[x] = true;
    };
    while (!stream.done()) {
      try {
        const auto x = stream.next();
        if (!x) break;
        see(static_cast<std::uint64_t>(*x));
        EXPECT_EQ(runs_[static_cast<std::size_t>(*x)], 1);
        ++values_;
      } catch (const WorkerDied& error) {
        see(error.task_index());
        ++deaths_;
      }
    }
    EXPECT_TRUE(std::find(seen.begin(), seen.end(), false) == seen.end());
    end(killer);
  } while (!clock_.over());
  expect_recovers(pool_);
}

// A map gives all or throws the first that died; those before it have run, once.
TEST_F(Chaos, Maps) {
  constexpr int kEach = 250;
  const auto expect_list = [&](auto call) {
    for (int i = 0; i < kEach; ++i) runs_[static_cast<std::size_t>(i)] = 0;
    int completed = kEach;
    try {
      const std::vector<std::string> results = call();
      ASSERT_EQ(results.size(), static_cast<std::size_t>(kEach));
      for (int x = 0; x < kEach; ++x) EXPECT_TRUE(is_result(x, results[static_cast<std::size_t>(x)]));
      ++values_;
    } catch (const WorkerDied& error) {
      completed = static_cast<int>(error.task_index());
      ++deaths_;
    }
    for (int x = 0; x < kEach; ++x) {
      const int runs = runs_[static_cast<std::size_t>(x)];
      if (x < completed) {
        EXPECT_EQ(runs, 1) << x;
      } else {
        EXPECT_LE(runs, 1) << x;
      }
    }
  };
  std::vector<std::tuple<int>> tuples;
  for (const int x : numbers(kEach)) tuples.emplace_back(x);
  do {
    Killer killer(pool_);
    for (std::size_t round = 0; round < scaled(10); ++round) {
      for (const std::size_t chunksize : {0U, 1U, 20U}) {
        const auto list = pool_.with({.chunksize = chunksize});
        expect_list([&] { return list.map(job(), numbers(kEach)); });
        expect_list([&] { return list.map_async(job(), numbers(kEach)).get(); });
        expect_list([&] { return list.starmap(job(), tuples); });
        expect_list([&] { return list.starmap_async(job(), tuples).get(); });
      }
    }
  } while (!clock_.over());
  EXPECT_GT(values_ + deaths_, 0);
  expect_recovers(pool_);
}

TEST_F(Chaos, WithRetriesAllSucceed) {
  do {
    begin();
    Killer killer(pool_);
    const auto stubborn = pool_.with({.chunksize = 4, .retries = 1000});
    const std::vector<std::string> all = stubborn.map(job(), numbers(kTasks));
    auto stream = stubborn.imap(job(), numbers(kTasks));
    for (int x = 0; x < kTasks; ++x) {
      EXPECT_TRUE(is_result(x, all.at(static_cast<std::size_t>(x))));
      EXPECT_TRUE(is_result(x, stream.next().value()));
      EXPECT_GE(runs_[static_cast<std::size_t>(x)], 2);
    }
    killer.stop();
  } while (!clock_.over());
  expect_recovers(pool_);
}

TEST_F(Chaos, LargeArguments) {
  const std::size_t count = scaled(300);
  std::vector<std::vector<double>> large;
  for (std::size_t i = 0; i < count; ++i) large.emplace_back(i % 3 == 0 ? 100'000 : 10, static_cast<double>(i));
  const auto first_and_size = [](const std::vector<double>& x) { return std::pair(x.front(), x.size()); };
  do {
    Killer killer(pool_);
    std::vector<AsyncResult<std::pair<double, std::size_t>>> answers;
    for (const auto& one : large) answers.push_back(pool_.apply_async(first_and_size, one));
    const auto expect = [&](std::size_t i, auto get) {
      try {
        EXPECT_EQ(get(), std::pair(static_cast<double>(i), large[i].size()));
      } catch (const WorkerDied& error) {
        EXPECT_EQ(error.signal(), SIGKILL);
      }
    };
    for (std::size_t i = 0; i < count; ++i) expect(i, [&] { return answers[i].get(); });
    auto stream = pool_.imap(first_and_size, large);
    for (std::size_t i = 0; i < count; ++i) expect(i, [&] { return stream.next().value(); });
    for (std::size_t i = 0; i < count; ++i) expect(i, [&] { return pool_.apply(first_and_size, large[i]); });
  } while (!clock_.over());
  expect_recovers(pool_);
}

// Every verb at once, from several threads.
TEST_F(Chaos, ManyThreads) {
  do {
    begin();
    Killer killer(pool_);
    const int share = kTasks / 4;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const int first = t * share;
        std::vector<int> mine(static_cast<std::size_t>(share));
        std::iota(mine.begin(), mine.end(), first);
        if (t == 0) {
          for (const int x : mine) expect_answer(x, [&] { return pool_.apply(job(), x); });
        } else if (t == 1) {
          std::vector<AsyncResult<std::string>> answers;
          for (const int x : mine) answers.push_back(pool_.apply_async(job(), x));
          for (const int x : mine) expect_answer(x, [&] { return answers[static_cast<std::size_t>(x - first)].get(); });
        } else {
          auto stream = pool_.with({.chunksize = t == 2 ? 0U : 7U}).imap(job(), mine);
          for (const int x : mine) expect_answer(x, [&] { return stream.next().value(); });
        }
      });
    }
    for (auto& thread : threads) thread.join();
    killer.stop();
    EXPECT_EQ(values_ + deaths_, 4 * share);
    for (Counter& run : runs_) EXPECT_LE(run, 1);
  } while (!clock_.over());
  expect_recovers(pool_);
}

}  // namespace
}  // namespace brood::pool_tests
