// What runs first and last in a worker, and what happens when it fails.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

int setting = 0;
int read_setting(int) { return setting; }

TEST(Initializer, RunsFirstInEveryWorker) {
  Counters calls;
  const PoolOptions options{.processes = 3, .initializer = [calls = calls.get()] {
                              setting = 5;
                              ++*calls;
                            }};
  Pool pool(options);
  EXPECT_EQ(pool.with({.chunksize = 1}).map(read_setting, numbers(100)), std::vector<int>(100, 5));
  EXPECT_TRUE(eventually([&] { return *calls == 3; }));
  EXPECT_EQ(setting, 0);
}

TEST(Initializer, TakesBoundArguments) {
  Pool pool(PoolOptions{
      .processes = 2,
      .initializer = brood::bind([](const std::string& text, int x) { setting = static_cast<int>(text.size()) + x; },
                                 "twelve chars", 30)});
  EXPECT_EQ(pool.map(read_setting, numbers(10)), std::vector<int>(10, 42));
}

TEST(Initializer, RunsAgainInAReplacement) {
  Pool pool(PoolOptions{.processes = 1, .initializer = [] { setting = 6; }});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pool.apply(read_setting, 0), 6);
    EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
  }
  EXPECT_EQ(pool.apply(read_setting, 0), 6);
}

TEST(Initializer, MayMakeAPool) {
  Pool pool(PoolOptions{.processes = 2, .initializer = [] {
                          Pool inner(1);
                          setting = inner.apply(twice, 4);
                        }});
  EXPECT_EQ(pool.map(read_setting, numbers(4)), std::vector<int>(4, 8));
}

// Every verb gives one and the same error, and no worker is started any more.
template <class E, class F>
void expect_broken(Counters& starts, F initializer, const std::string& says) {
  Pool pool(PoolOptions{.processes = 3, .initializer = initializer});
  const auto expect_error = [&](auto call) {
    try {
      call();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const E& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << typeid(error).name() << ": " << error.what();
    }
  };
  expect_error([&] { pool.apply(negate, 1); });
  expect_error([&] { pool.map(negate, numbers(100)); });
  expect_error([&] { pool.apply_async(negate, 1).get(); });
  expect_error([&] { pool.map_async(negate, numbers(100)).get(); });
  expect_error([&] { pool.imap(negate, numbers(100)).next(); });
  expect_error([&] { pool.imap_unordered(negate, numbers(100)).next(); });
  expect_error([&] { pool.starmap(negate, std::vector{std::tuple(1)}); });
  // No storm: a few were started for each place, and that is all.
  sleep_ms(300);
  EXPECT_LE(*starts, 12);
  EXPECT_LE(family().size(), 4U);  // the template process, and workers that are about to end
}

TEST(FailingInitializer, Throws) {
  Counters starts;
  expect_broken<std::domain_error>(
      starts,
      [starts = starts.get()] {
        ++*starts;
        throw std::domain_error("no database");
      },
      "no database");
}

TEST(FailingInitializer, ThrowsSomethingElse) {
  Counters starts;
  expect_broken<RemoteError>(
      starts,
      [starts = starts.get()] {
        ++*starts;
        throw 42;
      },
      "42");
}

class DyingInitializer : public EveryDeath {};
INSTANTIATE_TEST_SUITE_P(All, DyingInitializer, ::testing::ValuesIn(kDeaths), name_of_death);

TEST_P(DyingInitializer, BreaksThePool) {
  Counters starts;
  expect_broken<ProcessError>(
      starts,
      [starts = starts.get(), how = GetParam()] {
        ++*starts;
        die(how);
      },
      "initializer");
}

// One accident is no broken pool.
TEST_P(DyingInitializer, OnceOnly) {
  Counters starts;
  Pool pool(PoolOptions{.processes = 2, .initializer = [starts = starts.get(), how = GetParam()] {
                          if (++*starts == 1) die(how);
                        }});
  expect_works(pool);
  EXPECT_TRUE(eventually([&] { return *starts == 3; }));
}

TEST(DyingInitializer, KilledFromOutside) {
  Counters starts;
  Pool pool(PoolOptions{.processes = 1, .initializer = [starts = starts.get()] {
                          if (++*starts == 1) sleep_ms(60'000);
                        }});
  ASSERT_TRUE(eventually([&] { return *starts == 1; }));
  ::kill(pool.pids().front(), SIGKILL);
  expect_works(pool);
}

TEST(SlowInitializer, TasksWait) {
  Pool pool(PoolOptions{.processes = 2, .initializer = [] {
                          sleep_ms(50);
                          setting = 1;
                        }});
  EXPECT_EQ(pool.map(read_setting, numbers(10)), std::vector<int>(10, 1));
}

TEST(SlowInitializer, DoesNotHoldUpTerminate) {
  Pool pool(PoolOptions{.processes = 2, .initializer = [] { sleep_ms(600'000); }});
  auto answer = pool.apply_async(negate, 1);
  pool.terminate();
  pool.join();
  EXPECT_THROW(answer.get(), Cancelled);
}

// Ends without a task and with the pool's scope.
TEST(SlowInitializer, PoolWithoutTasksEnds) {
  Pool pool(PoolOptions{.processes = 2, .initializer = [] { sleep_ms(20); }});
}

// --- finalizers -----------------------------------------------------------------------------------------------------

TEST(Finalizer, RunsLastInEveryWorkerThatEndsInPeace) {
  Counters counters(2);
  {
    Pool pool(PoolOptions{.processes = 3,
                          .initializer = [] { setting = 7; },
                          .finalizer = brood::bind(
                              [at = counters.get()](int by) {
                                at[0] += by;
                                at[1] += setting;
                              },
                              1)});
    expect_works(pool);
    EXPECT_EQ(counters[0], 0);
    EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
  }
  EXPECT_EQ(counters[0], 3);
  EXPECT_EQ(counters[1], 21);
}

TEST(Finalizer, DoesNotRunOnTerminate) {
  Counters calls;
  {
    Pool pool(PoolOptions{.processes = 2, .finalizer = [calls = calls.get()] { ++*calls; }});
    expect_works(pool);
    pool.terminate();
  }
  EXPECT_EQ(*calls, 0);
}

TEST(Finalizer, ThatThrowsIsToldOnStderr) {
  const std::string text = proc::testing::stderr_of([] {
    Pool pool(PoolOptions{.processes = 1, .finalizer = [] { throw std::domain_error("too late"); }});
    pool.apply(negate, 1);
  });
  EXPECT_NE(text.find("finalizer"), std::string::npos) << text;
  EXPECT_NE(text.find("std::domain_error: too late"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

class DyingFinalizer : public EveryDeath {};
INSTANTIATE_TEST_SUITE_P(All, DyingFinalizer, ::testing::ValuesIn(kDeaths), name_of_death);

TEST_P(DyingFinalizer, DoesNotHoldUpTheEnd) {
  Counters calls;
  {
    Pool pool(PoolOptions{.processes = 3, .finalizer = [calls = calls.get(), how = GetParam()] {
                            ++*calls;
                            die(how);
                          }});
    expect_works(pool);
  }
  EXPECT_EQ(*calls, 3);
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace brood::pool_tests
