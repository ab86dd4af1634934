// Progress bars over the pool's work: exact, and advanced on completion.
#include <brood/progress.hpp>

#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/chaos.hpp"

namespace brood::pool_tests {
namespace {

class PoolProgress : public ::testing::Test {
 protected:
  // How far the bar gets when `call` has its options.
  template <class F>
  std::uint64_t counted_by(std::size_t chunksize, F call) {
    Progress bar({.total = 100, .disable = true});
    call(pool_.with({.chunksize = chunksize, .progress = &bar}));
    return bar.n();
  }

  Pool pool_{2};
};

TEST_F(PoolProgress, CountsEveryTaskOnce) {
  std::vector<std::tuple<int>> tuples;
  for (const int x : numbers(100)) tuples.emplace_back(x);
  for (const std::size_t chunksize : {0U, 1U, 7U, 100U}) {
    const auto drain = [](auto stream) {
      while (stream.next()) {
      }
    };
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { with.map(negate, numbers(100)); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { with.starmap(negate, tuples); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { with.map_async(negate, numbers(100)).get(); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { with.starmap_async(negate, tuples).get(); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { drain(with.imap(negate, numbers(100))); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { drain(with.imap_unordered(negate, numbers(100))); }), 100U);
    EXPECT_EQ(counted_by(chunksize, [&](auto with) { with.apply(negate, 1), with.apply_async(negate, 1).get(); }), 2U);
  }
}

TEST_F(PoolProgress, CountsTasksThatFailOrDie) {
  const auto fails = [](int x) {
    if (x % 10 == 3) throw std::domain_error("3");
    if (x % 10 == 7) die(Death::killed);
    return x;
  };
  EXPECT_EQ(counted_by(4,
                       [&](auto with) {
                         auto stream = with.imap(fails, numbers(100));
                         while (!stream.done()) {
                           try {
                             stream.next();
                           } catch (const Error&) {
                           }
                         }
                       }),
            100U);
}

TEST_F(PoolProgress, CountsARetriedTaskOnce) {
  Counters runs(100);
  Pool pool(2);
  Progress bar({.total = 100, .disable = true});
  pool.with({.chunksize = 5, .retries = 1, .progress = &bar})
      .map(
          [runs = runs.get()](int x) {
            if (x % 10 == 0 && ++runs[x] == 1) die(Death::killed);
          },
          numbers(100));
  EXPECT_EQ(bar.n(), 100U);
}

TEST_F(PoolProgress, ExactUnderChaos) {
  const int count = static_cast<int>(scaled(3000));
  Killer killer(pool_);
  Progress bar({.total = static_cast<std::uint64_t>(count), .disable = true});
  auto stream = pool_.with({.chunksize = 10, .progress = &bar})
                    .imap_unordered([](int x) { return ::usleep(50), x; }, numbers(count));
  while (!stream.done()) {
    try {
      stream.next();
    } catch (const WorkerDied&) {
    }
  }
  EXPECT_EQ(bar.n(), static_cast<std::uint64_t>(count));
}

// While the consumer waits for the first, the others are counted.
TEST_F(PoolProgress, AdvancesOnCompletion) {
  Counters gate;
  Pool pool(2);
  Progress bar({.total = 20, .disable = true});
  auto stream = pool.with({.chunksize = 1, .window = 20, .progress = &bar})
                    .imap(
                        [gate = gate.get()](int x) {
                          if (x == 0) await(*gate);
                          return x;
                        },
                        numbers(20));
  EXPECT_TRUE(eventually([&] { return !stream.next_for(1ms) && bar.n() == 19; }));
  EXPECT_EQ(stream.completed(), 19U);
  *gate = 1;
  EXPECT_EQ(stream.next(), 0);
  EXPECT_EQ(bar.n(), 20U);
}

TEST_F(PoolProgress, AroundAStreamWhoseFirstIsTheSlowest) {
  Counters gate;
  Pool pool(2);
  auto range = progress(pool.with({.chunksize = 1, .window = 20})
                            .imap(
                                [gate = gate.get()](int x) {
                                  if (x == 0) await(*gate);
                                  return x;
                                },
                                numbers(20)),
                        {.mininterval = 10ms, .disable = true});
  EXPECT_EQ(range.bar().total(), 20U);
  std::thread opener([&] {
    EXPECT_TRUE(eventually([&] { return range.bar().n() == 19; }));
    *gate = 1;
  });
  std::vector<int> got;
  for (const int x : range) got.push_back(x);
  opener.join();
  EXPECT_EQ(got, numbers(20));
  EXPECT_EQ(range.bar().n(), 20U);
}

TEST_F(PoolProgress, ManyAtATime) {
  Progress bar({.disable = true});
  std::vector<AsyncResult<int>> answers;
  for (int i = 0; i < 1000; ++i) answers.push_back(pool_.with({.progress = &bar}).apply_async(negate, i));
  for (auto& answer : answers) answer.wait();
  EXPECT_EQ(bar.n(), 1000U);
}

}  // namespace
}  // namespace brood::pool_tests
