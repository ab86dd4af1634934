// What stats() says of the time that workers spend in tasks. A busy machine may make any task longer, so the bounds are
// clock readings around it.
#include <sys/resource.h>

#include <thread>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

double now_seconds() { return static_cast<double>(os::now_ns()) * 1e-9; }
double busy(const Pool& pool) {
  double sum = 0;
  for (const WorkerStats& worker : pool.stats().workers) sum += worker.busy_seconds;
  return sum;
}

// A worker says it after the answer was given.
double busy_at_least(const Pool& pool, double seconds) {
  EXPECT_TRUE(eventually([&] { return busy(pool) >= seconds; })) << busy(pool) << " s instead of " << seconds;
  return busy(pool);
}

TEST(Stats, WaitingIsNotWorking) {
  Pool pool(2);
  std::this_thread::sleep_for(150ms);
  EXPECT_EQ(busy(pool), 0);
  double most = 0;
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(150ms);
    const double before = now_seconds();
    pool.apply(sleep_ms, 5);
    const double all = busy_at_least(pool, 0.005 * (round + 1));
    most += now_seconds() - before;
    EXPECT_LE(all, most) << "the pause before it counts, too";
  }
  EXPECT_EQ(pool.stats().tasks, 3U);
}

TEST(Stats, ATaskCountsForItsTime) {
  Pool pool(2);
  pool.apply(sleep_ms, 60);
  const double slept = busy_at_least(pool, 0.06);
  pool.apply(
      [](int ms) {
        const auto end = os::now_ns() + std::int64_t{ms} * 1'000'000;
        while (os::now_ns() < end) {
        }
      },
      60);
  const double spun = busy_at_least(pool, slept + 0.06);
  const double before = now_seconds();
  pool.with({.chunksize = 4}).map(sleep_ms, std::vector<int>(8, 10));
  const double all = busy_at_least(pool, spun + 0.08);
  EXPECT_LE(all, spun + 2 * (now_seconds() - before)) << "two workers";
}

// A stream whose consumer pauses: its window is worked on by the service thread, which then sleeps.
TEST(Stats, APausedStreamUsesNoCpu) {
  Pool pool(2);
  auto stream = pool.imap([](int x) { return (sleep_ms(2), x); }, Endless(0));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(stream.next(), i);
  const auto rests = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
  };
  EXPECT_TRUE(eventually([&] {
    const auto before = rests();
    std::this_thread::sleep_for(200ms);
    return rests() - before < 30;
  })) << "somebody looks all the time";
  for (int i = 20; i < 40; ++i) EXPECT_EQ(stream.next(), i);
}

// A task that was sent while the worker was still in its initializer.
TEST(Stats, TheInitializerIsNoTask) {
  Shared<std::atomic<std::int64_t>> ready_ns(1);
  Pool pool({.processes = 1, .initializer = [at = ready_ns.get()] {
               sleep_ms(200);
               at->store(os::now_ns());
             }});
  pool.apply_async(sleep_ms, 5).get();
  const double all = busy_at_least(pool, 0.005);
  EXPECT_LE(all, now_seconds() - static_cast<double>(ready_ns[0].load()) * 1e-9);
}

}  // namespace
}  // namespace brood::pool_tests
