// AsyncResult: waiting, asking again, cancelling, outliving.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// A task that waits until the test lets it go.
class AsyncResults : public ::testing::Test {
 protected:
  ~AsyncResults() override { release_all(); }

  auto gate() const {
    return [gates = gates_.get()](int x) {
      ++gates[0];
      await(gates[1]);
      return x;
    };
  }
  void await_running(int count) const {
    while (gates_[0] < count) ::usleep(200);
  }
  void release_all() { gates_[1] = 1; }

  Counters gates_{2};
  Pool pool_{2};
};

TEST_F(AsyncResults, ValueAgainAndAgain) {
  auto answer = pool_.apply_async([] { return std::string("text"); });
  EXPECT_EQ(answer.get(), "text");
  EXPECT_EQ(answer.get(), "text");
  auto copy = answer;
  EXPECT_EQ(copy.get(), "text");
  EXPECT_EQ(std::move(answer).get(), "text");
  auto list = pool_.map_async(negate, numbers(3));
  EXPECT_EQ(list.get(), (std::vector{0, -1, -2}));
  EXPECT_EQ(list.get(), (std::vector{0, -1, -2}));
}

TEST_F(AsyncResults, ErrorAgainAndAgain) {
  auto answer = pool_.apply_async([]() -> int { throw std::out_of_range("gone"); });
  for (int i = 0; i < 3; ++i) EXPECT_THROW(answer.get(), std::out_of_range);
  EXPECT_FALSE(answer.successful());
  EXPECT_THROW(answer.get_for(1s), std::out_of_range);
}

TEST_F(AsyncResults, ReadyAndSuccessful) {
  auto answer = pool_.apply_async(gate(), 5);
  await_running(1);
  EXPECT_FALSE(answer.ready());
  EXPECT_THROW(static_cast<void>(answer.successful()), ProcessError);
  release_all();
  answer.wait();
  EXPECT_TRUE(answer.ready());
  EXPECT_TRUE(answer.successful());
  EXPECT_EQ(answer.get(), 5);
}

// Without a call that waits, too: the service thread does the pool's work.
TEST_F(AsyncResults, BecomesReadyByItself) {
  Counters done;
  Pool pool(2);
  std::vector<AsyncResult<void>> answers;
  for (int i = 0; i < 1000; ++i) answers.push_back(pool.apply_async([done = done.get()] { ++*done; }));
  EXPECT_TRUE(eventually([&] { return *done == 1000; }));
}

TEST_F(AsyncResults, TimeLimits) {
  auto answer = pool_.apply_async(gate(), 5);
  auto nothing = pool_.apply_async([gate = gate()] { gate(0); });
  EXPECT_FALSE(answer.wait_for(0s));
  EXPECT_FALSE(answer.wait_for(-1s));
  EXPECT_FALSE(answer.wait_for(1ms));
  EXPECT_FALSE(answer.get_for(1ms));
  EXPECT_FALSE(nothing.get_for(1ms));
  release_all();
  EXPECT_TRUE(answer.wait_for(std::chrono::hours(24 * 365 * 200)));
  EXPECT_EQ(answer.get_for(1h), 5);
  EXPECT_TRUE(nothing.get_for(std::chrono::duration<double>(1e30)));
  EXPECT_EQ(answer.get_for(-1h), 5);
}

TEST_F(AsyncResults, ReferringToNothing) {
  AsyncResult<int> nothing;
  EXPECT_THROW(nothing.get(), ProcessError);
  EXPECT_THROW(nothing.wait(), ProcessError);
  EXPECT_THROW(static_cast<void>(nothing.ready()), ProcessError);
  EXPECT_THROW(nothing.cancel(), ProcessError);
  EXPECT_THROW(nothing.then([](int) {}), ProcessError);
  nothing = pool_.apply_async(negate, 1);
  EXPECT_EQ(nothing.get(), -1);
  AsyncResult<int> moved = std::move(nothing);
  EXPECT_THROW(nothing.get(), ProcessError);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.get(), -1);
}

TEST_F(AsyncResults, MayBeDropped) {
  Counters done;
  {
    Pool pool(2);
    for (int i = 0; i < 100; ++i) pool.apply_async([done = done.get()] { ++*done; });
    pool.map_async([done = done.get()](int) { ++*done; }, numbers(100));
  }
  EXPECT_EQ(*done, 200);
}

TEST_F(AsyncResults, ManyThreadsWaitForOneAnswer) {
  auto answer = pool_.apply_async(gate(), 5);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, mine = answer]() mutable { right += mine.get() == 5 ? 1 : 0; });
  }
  release_all();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 8);
}

TEST_F(AsyncResults, OutlivesThePool) {
  auto pool = std::make_unique<Pool>(2);
  auto value = pool->apply_async([] { return std::vector<int>(100'000, 1); });
  auto error = pool->apply_async([] { throw std::out_of_range("x"); });
  auto list = pool->map_async(negate, numbers(100));
  pool.reset();
  EXPECT_TRUE(value.ready());
  EXPECT_EQ(value.get().size(), 100'000U);
  EXPECT_THROW(error.get(), std::out_of_range);
  EXPECT_EQ(list.get()[99], -99);
  EXPECT_FALSE(value.cancel());
  int seen = 0;
  value.then([&](const std::vector<int>& x) { seen = static_cast<int>(x.size()); });
  EXPECT_TRUE(eventually([&] { return seen == 100'000; })) << "a callback added after the end";
}

TEST_F(AsyncResults, OutlivesATerminatedPool) {
  auto pool = std::make_unique<Pool>(1);
  auto first = pool->apply_async([] { sleep_ms(600'000); });
  auto second = pool->map_async(negate, numbers(1000));
  pool->terminate();
  pool.reset();
  EXPECT_TRUE(first.ready());
  EXPECT_THROW(first.get(), Cancelled);
  EXPECT_THROW(second.get(), Cancelled);
}

// --- cancel ------------------------------------------------------------------------------------------------

TEST_F(AsyncResults, CancelBeforeItRuns) {
  auto first = pool_.apply_async(gate(), 1);
  auto second = pool_.apply_async(gate(), 2);
  await_running(2);
  std::vector<AsyncResult<int>> waiting;
  for (int i = 0; i < 50; ++i) waiting.push_back(pool_.apply_async(gate(), 3));
  for (auto& answer : waiting) EXPECT_TRUE(answer.cancel());
  for (auto& answer : waiting) {
    EXPECT_TRUE(answer.ready());
    EXPECT_FALSE(answer.successful());
    EXPECT_THROW(answer.get(), Cancelled);
    EXPECT_FALSE(answer.cancel());
  }
  release_all();
  EXPECT_EQ(first.get() + second.get(), 3);
  expect_works(pool_);
  EXPECT_EQ(gates_[0], 2);  // none of them ran
}

TEST_F(AsyncResults, CancelWhileItRuns) {
  auto answer = pool_.apply_async(gate(), 1);
  await_running(1);
  EXPECT_FALSE(answer.cancel());
  release_all();
  EXPECT_EQ(answer.get(), 1);
  EXPECT_FALSE(answer.cancel());
  EXPECT_EQ(answer.get(), 1);
}

TEST_F(AsyncResults, CancelAMap) {
  auto list = pool_.with({.chunksize = 1}).map_async(gate(), numbers(100));
  await_running(2);
  EXPECT_FALSE(list.cancel());  // some of it was begun
  release_all();
  EXPECT_THROW(list.get(), Cancelled);
  expect_works(pool_);
  EXPECT_LE(gates_[0], 4);

  gates_[0] = gates_[1] = 0;
  auto blockers = pool_.with({.chunksize = 1}).map_async(gate(), numbers(2));
  await_running(2);
  auto untouched = pool_.map_async(gate(), numbers(100));
  EXPECT_TRUE(untouched.cancel());
  EXPECT_THROW(untouched.get(), Cancelled);
  release_all();
  EXPECT_EQ(blockers.get(), numbers(2));
  EXPECT_EQ(gates_[0], 2);
}

TEST_F(AsyncResults, CancelInARace) {
  for (std::size_t round = 0; round < scaled(2000); ++round) {
    auto answer = pool_.apply_async(negate, 1);
    auto other = pool_.apply_async(negate, 2);
    const bool cancelled = answer.cancel();
    try {
      EXPECT_EQ(answer.get(), -1);
      EXPECT_FALSE(cancelled);
    } catch (const Cancelled&) {
      // Also when cancel() could not be sure yet that no worker had begun it.
    }
    EXPECT_EQ(other.get(), -2);
  }
}

}  // namespace
}  // namespace brood::pool_tests
