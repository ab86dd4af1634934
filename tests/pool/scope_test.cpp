// The ends of a pool: its scope, close, join and terminate, in every order and from everywhere.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

void sleep_and_count(Counter* counter, int ms) {
  sleep_ms(ms);
  ++*counter;
}

class Scope : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_FALSE(has_children()); }

  auto count_slowly(int ms) const {
    return [counter = done_.get(), ms] { sleep_and_count(counter, ms); };
  }
  Counters done_;
};

TEST_F(Scope, EndFinishesWhatWasSubmitted) {
  {
    Pool pool(2);
    for (int i = 0; i < 20; ++i) pool.apply_async(count_slowly(5));
  }
  EXPECT_EQ(*done_, 20);
}

TEST_F(Scope, EndFinishesAMapWithoutAReader) {
  {
    Pool pool(2);
    pool.map_async([done = done_.get()](int) { ++*done; }, numbers(500));
  }
  EXPECT_EQ(*done_, 500);
}

TEST_F(Scope, UnwindingTerminates) {
  AsyncResult<void> answer;
  try {
    Pool pool(2);
    answer = pool.apply_async(count_slowly(600'000));
    for (int i = 0; i < 20; ++i) pool.apply_async(count_slowly(600'000));
    throw std::domain_error("on its way");
  } catch (const std::domain_error&) {
  }
  EXPECT_EQ(*done_, 0);
  EXPECT_THROW(answer.get(), Cancelled);
}

// A pool made while another exception is on its way ends as usual.
TEST_F(Scope, InADestructorDuringUnwinding) {
  struct Late {
    explicit Late(Counter* where) : counter(where) {}
    ~Late() {
      Pool pool(2);
      for (int i = 0; i < 5; ++i) pool.apply_async([counter = counter] { sleep_and_count(counter, 5); });
    }
    Counter* counter;
  };
  try {
    Late late(done_.get());
    throw 1;
  } catch (int) {
  }
  EXPECT_EQ(*done_, 5);
}

TEST_F(Scope, PoolWithoutTasks) {
  { Pool pool(3); }
  for (std::size_t i = 0; i < scaled(100); ++i) Pool pool(2);
}

TEST_F(Scope, MovedPool) {
  auto first = std::make_unique<Pool>(2);
  Pool second(std::move(*first));
  first.reset();
  expect_works(second);
  auto stream = second.imap(negate, numbers(10));
  Pool third(std::move(second));
  EXPECT_EQ(stream.next(), 0);
  expect_works(third);
}

// Views of options outlive the pool: they refer to what they were made of.
TEST_F(Scope, OptionsOutliveThePool) {
  auto pool = std::make_unique<Pool>(1);
  const PoolWith with = pool->with({.chunksize = 2});
  EXPECT_EQ(with.apply(negate, 1), -1);
  pool.reset();
  EXPECT_THROW(with.apply(negate, 1), ProcessError);
  EXPECT_THROW(with.imap(negate, numbers(3)), ProcessError);
}

TEST_F(Scope, CloseThenJoin) {
  Pool pool(2);
  auto answer = pool.apply_async(count_slowly(20));
  pool.close();
  pool.close();
  pool.join();
  EXPECT_TRUE(answer.ready());
  EXPECT_EQ(*done_, 1);
  EXPECT_FALSE(has_children());
  pool.join();
  EXPECT_TRUE(pool.pids().empty());
}

TEST_F(Scope, NothingIsAcceptedAfterClose) {
  Pool pool(2);
  pool.close();
  EXPECT_THROW(pool.apply(negate, 1), ProcessError);
  EXPECT_THROW(pool.apply_async(negate, 1), ProcessError);
  EXPECT_THROW(pool.map(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.map_async(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.starmap(negate, std::vector{std::tuple(1)}), ProcessError);
  EXPECT_THROW(pool.starmap_async(negate, std::vector{std::tuple(1)}), ProcessError);
  EXPECT_THROW(pool.imap(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.imap_unordered(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.map(negate, std::vector<int>()), ProcessError);
  const auto error = thrown_by<ProcessError>([&] { pool.apply(negate, 1); });
  EXPECT_NE(std::string(error.what()).find("Pool::apply()"), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find("closed"), std::string::npos) << error.what();
}

TEST_F(Scope, NothingIsAcceptedAfterTerminate) {
  Pool pool(2);
  pool.terminate();
  EXPECT_THROW(pool.apply(negate, 1), ProcessError);
  EXPECT_THROW(pool.apply_async(negate, 1), ProcessError);
  EXPECT_THROW(pool.map(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.imap(negate, numbers(3)), ProcessError);
}

TEST_F(Scope, StreamsGoOnAfterClose) {
  Pool pool(2);
  auto stream = pool.with({.window = 4}).imap(negate, numbers(1000));
  EXPECT_EQ(stream.next(), 0);
  pool.close();
  for (int x = 1; x < 1000; ++x) EXPECT_EQ(stream.next(), -x);
  EXPECT_FALSE(stream.next());
}

TEST_F(Scope, JoinWithoutCloseIsMisuse) {
  Pool pool(2);
  EXPECT_THROW(pool.join(), ProcessError);
  expect_works(pool);
}

TEST_F(Scope, TerminateTwiceAndAfterTheEnd) {
  Pool pool(2);
  auto answer = pool.apply_async(count_slowly(600'000));
  pool.terminate();
  pool.terminate();
  EXPECT_THROW(answer.get(), Cancelled);
  pool.join();
  pool.terminate();
  pool.join();
  pool.close();
  EXPECT_EQ(*done_, 0);
}

TEST_F(Scope, TerminateBeforeAnythingIsReady) {
  for (std::size_t i = 0; i < scaled(50); ++i) {
    Pool pool(2);
    pool.terminate();
  }
}

TEST_F(Scope, TerminateWithQueuesFull) {
  Pool pool(2);
  const std::vector<double> large(2'500'000, 1.0);  // 20 MB
  std::vector<AsyncResult<std::size_t>> answers;
  for (int i = 0; i < 10; ++i) {
    answers.push_back(
        pool.apply_async([](const std::vector<double>& x) { return sleep_ms(600'000), x.size(); }, large));
  }
  pool.terminate();
  pool.terminate();
  pool.join();
  for (auto& answer : answers) EXPECT_THROW(answer.get(), Cancelled);
}

TEST_F(Scope, TerminateWithLargeResultsOnTheirWay) {
  Pool pool(2);
  auto stream = pool.imap([](int) { return std::vector<double>(2'500'000, 1.0); }, numbers(10));
  EXPECT_EQ(stream.next()->size(), 2'500'000U);
  pool.terminate();
  EXPECT_THROW(
      {
        while (stream.next()) {
        }
      },
      Cancelled);
}

// Whichever call waits in whichever thread, it comes back.
TEST_F(Scope, TerminateFromAnotherThread) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Pool pool(2);
    const auto pause = [](int) { sleep_ms(20); };
    std::atomic<int> cancelled{0};
    const auto expect_cancelled = [&](auto call) {
      EXPECT_THROW(call(), Error);  // Cancelled, or ProcessError when it had not begun yet
      ++cancelled;
    };
    std::vector<std::thread> threads;
    threads.emplace_back([&] { expect_cancelled([&] { pool.map(pause, numbers(10'000)); }); });
    threads.emplace_back([&] {
      expect_cancelled([&] { pool.apply_async(pause, 1).get(), pool.map_async(pause, numbers(10'000)).get(); });
    });
    threads.emplace_back([&] {
      expect_cancelled([&] {
        auto stream = pool.imap(pause, numbers(10'000));
        while (stream.next()) {
        }
      });
    });
    threads.emplace_back([&] {
      expect_cancelled([&] {
        for (;;) pool.apply(pause, 1);
      });
    });
    sleep_ms(static_cast<int>(round));
    pool.terminate();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(cancelled, 4);
    pool.join();
  }
}

TEST_F(Scope, CloseWhileMapRuns) {
  Pool pool(2);
  std::thread closer([&] {
    await(*done_);
    pool.close();
  });
  EXPECT_EQ(pool.with({.chunksize = 1})
                .map([done = done_.get()](int x) { return sleep_and_count(done, 1), x; }, numbers(200)),
            numbers(200));
  closer.join();
}

TEST_F(Scope, JoinInSeveralThreads) {
  Pool pool(2);
  pool.apply_async(count_slowly(50));
  pool.close();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { pool.join(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(*done_, 1);
}

TEST_F(Scope, SubmitDuringTheEnd) {
  for (std::size_t round = 0; round < scaled(50); ++round) {
    auto pool = std::make_unique<Pool>(2);
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0};
    std::thread submitter([&] {
      std::vector<AsyncResult<int>> answers;
      try {
        while (!stop) answers.push_back(pool->apply_async(negate, 3));
      } catch (const ProcessError&) {
      }
      for (auto& answer : answers) {
        try {
          EXPECT_EQ(answer.get(), -3);
        } catch (const Cancelled&) {
        }
        ++answered;
      }
      EXPECT_EQ(answered, static_cast<int>(answers.size()));
    });
    sleep_ms(static_cast<int>(round % 5));
    if (round % 2 == 0) {
      pool->close();
      pool->join();
    } else {
      pool->terminate();
    }
    submitter.join();
    stop = true;
    pool.reset();
  }
}

// --- signal handlers and exit ---------------------------------------------------------------------------------------

Pool* pool_for_handler = nullptr;

TEST_F(Scope, TerminateFromASignalHandler) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Pool pool(2);
    pool_for_handler = &pool;
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_handler = [](int) { pool_for_handler->terminate(); };
    ::sigaction(SIGUSR1, &action, &before);
    const pthread_t self = ::pthread_self();
    std::thread sender([&] {
      sleep_ms(static_cast<int>(round % 10));
      ::pthread_kill(self, SIGUSR1);
    });
    EXPECT_THROW(pool.map([](int) { sleep_ms(5); }, numbers(100'000)), Error);
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
  }
}

TEST_F(Scope, StaticPoolAtExit) {
  Counters done;
  const int code = run_in_child([&] {
    static Pool pool(2);
    pool.apply_async([counter = done.get()] { sleep_and_count(counter, 30); });
    std::exit(7);
    return 0;
  });
  EXPECT_EQ(code, 7);
  EXPECT_EQ(*done, 1);
}

TEST_F(Scope, TerminateAtExitWithQueuesFull) {
  const int code = run_in_child([] {
    static Pool pool(2);
    const std::vector<double> large(2'500'000, 1.0);
    for (int i = 0; i < 10; ++i) pool.apply_async([](const std::vector<double>&) { sleep_ms(600'000); }, large);
    std::atexit([] { pool.terminate(); });
    std::exit(7);
    return 0;
  });
  EXPECT_EQ(code, 7);
}

// exit() in a thread while others wait in the pool.
TEST_F(Scope, ExitWhileOtherThreadsWait) {
  const int code = run_in_child([] {
    static Pool& pool = *new Pool(2);  // never destroyed: others are using it
    for (int t = 0; t < 3; ++t) {
      std::thread([] {
        try {
          pool.map([](int) { sleep_ms(5); }, numbers(20));
        } catch (const Error&) {
        }
        ::pause();
      }).detach();
    }
    sleep_ms(10);
    std::exit(7);
    return 0;
  });
  EXPECT_EQ(code, 7);
}

}  // namespace
}  // namespace brood::pool_tests
