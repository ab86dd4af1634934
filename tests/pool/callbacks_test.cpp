// then() and on_error(), and all that a callback may do.
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

TEST(Callbacks, GetTheValueOrTheError) {
  std::atomic<int> value{0};
  std::atomic<int> nothing{0};
  std::atomic<int> list{0};
  std::string error;
  {
    Pool pool(2);
    pool.apply_async(negate, 5).then([&](int x) { value = x; }).on_error([&](std::exception_ptr) { value = 1000; });
    pool.apply_async([] {}).then([&] { ++nothing; });
    pool.map_async(negate, numbers(4)).then([&](std::vector<int> all) { list = all.at(3); });
    pool.apply_async([] { throw std::out_of_range("text"); })
        .then([&] { ++nothing; })
        .on_error([&](const std::exception_ptr& what) {
          error = thrown_by<std::out_of_range>([&] { std::rethrow_exception(what); }).what();
        });
    pool.apply_async([] { die(Death::killed); }).on_error([&](const std::exception_ptr& what) {
      EXPECT_THROW(std::rethrow_exception(what), WorkerDied);
      ++nothing;
    });
  }  // callbacks of what was submitted have run when the pool has ended
  EXPECT_EQ(value, -5);
  EXPECT_EQ(nothing, 2);
  EXPECT_EQ(list, -3);
  EXPECT_EQ(error, "text");
}

TEST(Callbacks, MovedOnlyCallable) {
  std::atomic<int> got{0};
  {
    Pool pool(1);
    pool.apply_async(negate, 1).then([&got, box = std::make_unique<int>(10)](int x) { got = x + *box; });
  }
  EXPECT_EQ(got, 9);
}

TEST(Callbacks, AddedLaterAndInOrder) {
  Pool pool(1);
  auto answer = pool.apply_async(negate, 1);
  answer.wait();
  std::mutex mutex;
  std::vector<int> order;
  const auto note = [&](int what) {
    return [&, what](int) {
      const std::lock_guard lock(mutex);
      order.push_back(what);
    };
  };
  answer.then(note(1)).then(note(2)).then(note(3));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return order.size() == 3;
  }));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(Callbacks, RunOneAtATimeWithoutAnybodyWaiting) {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> count{0};
  std::atomic<std::size_t> threads_seen{0};
  {
    Pool pool(2);
    for (int i = 0; i < 500; ++i) {
      pool.apply_async(negate, i).then([&](int) {
        const int now = ++inside;
        if (now > most) most = now;
        if (std::this_thread::get_id() == std::thread::id()) ++threads_seen;
        ++count;
        --inside;
      });
    }
    EXPECT_TRUE(eventually([&] { return count == 500; }));
  }
  EXPECT_EQ(most, 1);
}

TEST(Callbacks, ThatThrowBreakNothing) {
  std::atomic<int> after{0};
  {
    Pool pool(2);
    for (int i = 0; i < 10; ++i) {
      pool.apply_async(negate, i)
          .then([](int) { throw std::runtime_error("nobody hears this"); })
          .then([](int) { throw 42; })
          .then([&](int) { ++after; });
      pool.apply_async([] { throw 1; }).on_error([](const std::exception_ptr& what) { std::rethrow_exception(what); });
    }
    expect_works(pool);
  }
  EXPECT_EQ(after, 10);
}

TEST(Callbacks, SubmitMore) {
  std::atomic<int> depth{0};
  {
    Pool pool(2);
    std::function<void(int)> next = [&](int x) {
      ++depth;
      if (x > -100) pool.apply_async([](int y) { return y - 1; }, x).then(next);
    };
    pool.apply_async(negate, 0).then(next);
    EXPECT_TRUE(eventually([&] { return depth == 101; }));
  }
}

TEST(Callbacks, MayWait) {
  std::atomic<int> sum{0};
  Pool pool(2);
  pool.apply_async(negate, 1).then([&](int) {
    sum += pool.apply(negate, -1);
    sum += pool.map(negate, numbers(3))[2];
    sum += pool.apply_async(negate, -10).get();
    for (const int x : pool.imap(negate, numbers(3))) sum += x;
    sum += 1000;
  });
  EXPECT_TRUE(eventually([&] { return sum == 1006; })) << sum;
}

TEST(Callbacks, MayWaitWhileTheMainThreadWaits) {
  Pool pool(2);
  std::atomic<int> sum{0};
  for (int i = 0; i < 20; ++i) {
    pool.apply_async(negate, -1).then([&](int x) { sum += pool.map(negate, std::vector{-x, -x})[0]; });
  }
  for (int i = 0; i < 20; ++i) expect_works(pool);
  EXPECT_TRUE(eventually([&] { return sum == 20; }));
}

TEST(Callbacks, MayClose) {
  Pool pool(2);
  std::atomic<bool> refused{false};
  auto answer = pool.apply_async(negate, 1);
  answer.then([&](int) {
    pool.close();
    try {
      pool.apply(negate, 1);
    } catch (const ProcessError&) {
      refused = true;
    }
  });
  EXPECT_TRUE(eventually([&] { return refused.load(); }));
  pool.join();
}

TEST(Callbacks, MayJoin) {
  Pool pool(2);
  std::atomic<bool> joined{false};
  pool.apply_async(negate, 1).then([&](int) {
    pool.close();
    pool.join();
    joined = true;
  });
  EXPECT_TRUE(eventually([&] { return joined.load(); }));
}

TEST(Callbacks, MayTerminate) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Pool pool(2);
    auto slow = pool.apply_async([] { sleep_ms(600'000); });
    pool.apply_async(negate, 1).then([&](int) {
      pool.terminate();
      pool.terminate();
    });
    EXPECT_THROW(slow.get(), Cancelled);
    pool.join();
  }
}

TEST(Callbacks, MayDestroyThePool) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    auto pool = std::make_unique<Pool>(2);
    std::atomic<bool> gone{false};
    auto answer = pool->apply_async(negate, 1);
    answer.then([&](int) {
      pool.reset();
      gone = true;
    });
    EXPECT_TRUE(eventually([&] { return gone.load(); }));
    EXPECT_EQ(answer.get(), -1);
    EXPECT_FALSE(has_children());
  }
}

// The last reference to everything goes within the callback.
TEST(Callbacks, MayOwnThePool) {
  std::atomic<int> gone{0};
  {
    auto pool = std::make_shared<Pool>(2);
    auto& first = *pool;
    first.apply_async(negate, 1).then([pool = std::move(pool), &gone](int) mutable {
      pool.reset();
      ++gone;
    });
  }
  EXPECT_TRUE(eventually([&] { return gone == 1; }));
}

TEST(Callbacks, MayExit) {
  EXPECT_EQ(run_in_child([] {
              Pool pool(2);
              pool.apply_async(negate, 1).then([](int) { std::exit(9); });
              for (;;) pool.apply(negate, 1), sleep_ms(1);
              return 0;
            }),
            9);
  EXPECT_EQ(run_in_child([] {
              static Pool pool(2);
              pool.apply_async(negate, 1).then([](int) { std::exit(9); });
              ::pause();
              return 0;
            }),
            9);
  EXPECT_EQ(run_in_child([] {
              Pool pool(2);
              pool.apply_async(negate, 1).then([](int) { ::_exit(9); });
              pool.close();
              pool.join();
              ::pause();
              return 0;
            }),
            9);
}

// The same ways to fail as in a task.
TEST(Callbacks, MayDie) {
  for (const Death how : kDeaths) {
    EXPECT_EQ(run_in_child([how] {
                Pool pool(2);
                pool.apply_async(negate, 1).then([how](int) { die(how); });
                ::pause();
                return 77;
              }),
              exitcode_of(how));
  }
}

TEST(Callbacks, OfCancelledAndTerminated) {
  std::atomic<int> cancelled{0};
  const auto note = [&](const std::exception_ptr& what) {
    EXPECT_THROW(std::rethrow_exception(what), Cancelled);
    ++cancelled;
  };
  Counters gates(2);
  {
    Pool pool(1);
    const auto gate = [gates = gates.get()] {
      ++gates[0];
      await(gates[1]);
    };
    auto running = pool.apply_async(gate).on_error(note);
    await(gates[0]);
    auto waiting = pool.apply_async(gate).on_error(note);
    EXPECT_TRUE(waiting.cancel());
    EXPECT_TRUE(eventually([&] { return cancelled == 1; }));
    pool.terminate();
  }
  EXPECT_EQ(cancelled, 2);
}

TEST(Callbacks, FromManyThreads) {
  std::atomic<int> count{0};
  {
    Pool pool(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          auto answer = pool.apply_async(negate, i);
          answer.then([&](int) { ++count; });
          if (i % 3 == 0) answer.get();
          answer.then([&](int) { ++count; });
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(count, 4000);
}

}  // namespace
}  // namespace brood::pool_tests
