// What a pool is told and what it tells: options, size, statistics.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

TEST(Options, NumberOfProcesses) {
  EXPECT_EQ(Pool().size(), cpu_count());
  EXPECT_EQ(Pool(PoolOptions{}).size(), cpu_count());
  for (const unsigned count : {1U, 2U, 7U}) {
    Pool pool(count);
    EXPECT_EQ(pool.size(), count);
    const auto pids = pool.pids();
    EXPECT_EQ(std::set<pid_t>(pids.begin(), pids.end()).size(), count);
    for (const pid_t pid : pids) EXPECT_TRUE(is_running(pid));
  }
}

TEST(Options, ManyProcesses) {
  Pool pool(64);
  EXPECT_EQ(pool.pids().size(), 64U);
  expect_works(pool);
}

TEST(Options, ThatAreRefusedLeaveNothingBehind) {
  const auto text_of = [](const PoolOptions& options) {
    return std::string(thrown_by<ProcessError>([&] { Pool pool(options); }).what());
  };
  EXPECT_NE(text_of({.processes = 100'000}).find("100000"), std::string::npos);
  EXPECT_NE(text_of({.max_tasks_per_child = 1}).find("max_tasks_per_child"), std::string::npos);
  EXPECT_NE(text_of({.max_memory_per_child = 1}).find("max_memory_per_child"), std::string::npos);
  EXPECT_FALSE(has_children());
  Pool pool(1);
  expect_works(pool);
}

TEST(Options, TimeLimitsAreNotThereYet) {
  Pool pool(1);
  EXPECT_THROW(pool.with({.timeout = 1s}).apply(negate, 1), ProcessError);
  EXPECT_THROW(pool.with({.timeout = 1s}).apply_async(negate, 1), ProcessError);
  EXPECT_THROW(pool.with({.timeout = 1s}).map(negate, numbers(3)), ProcessError);
  EXPECT_THROW(pool.with({.timeout = 1s}).imap(negate, numbers(3)), ProcessError);
  expect_works(pool);
}

TEST(Options, OfACallAreTheCallsOwn) {
  Pool pool(2);
  const PoolWith chunks = pool.with({.chunksize = 10});
  const PoolWith copy = chunks;
  EXPECT_EQ(copy.map(negate, numbers(100)).size(), 100U);
  EXPECT_EQ(pool.with({.retries = 3}).apply(negate, 1), -1);
  for (const std::size_t chunksize : {std::size_t{1} << 20U, std::size_t{1} << 40U, SIZE_MAX}) {
    EXPECT_EQ(pool.with({.chunksize = chunksize}).map(negate, numbers(1000)).back(), -999);
    EXPECT_EQ(pool.with({.chunksize = chunksize}).map_async(negate, numbers(1000)).get().back(), -999);
    EXPECT_EQ(pool.with({.chunksize = chunksize}).imap(negate, numbers(1000)).next(), 0);
  }
  auto stream = pool.with({.chunksize = SIZE_MAX, .window = SIZE_MAX}).imap(negate, numbers(1000));
  EXPECT_EQ(stream.next(), 0);
}

TEST(Options, LargestWindowOverAnEndlessInput) {
  Pool pool(2);
  EXPECT_EQ(pool.with({.window = 1'000'000}).imap(negate, Endless(1)).next(), -1);
}

TEST(Statistics, CountTasks) {
  Pool pool(2);
  EXPECT_EQ(pool.stats().tasks, 0U);
  pool.map(negate, numbers(1000));
  pool.apply(negate, 1);
  pool.apply_async(negate, 1).get();
  EXPECT_THROW(pool.apply([] { throw 1; }), RemoteError);
  const auto pids = pool.pids();  // waits: one worker may have done it all before the other was started
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.tasks, 1003U);
  ASSERT_EQ(stats.workers.size(), 2U);
  EXPECT_EQ(stats.workers[0].tasks + stats.workers[1].tasks, 1003U);
  EXPECT_EQ(stats.restarts, 0U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(stats.workers[i].pid, pids[i]);
    EXPECT_EQ(stats.workers[i].restarts, 0U);
  }
}

TEST(Statistics, BusyTime) {
  Pool pool(2);
  pool.with({.chunksize = 1}).map([](int) { sleep_ms(25); }, numbers(8));
  double busy_seconds = 0;
  for (const WorkerStats& worker : pool.stats().workers) busy_seconds += worker.busy_seconds;
  EXPECT_GE(busy_seconds, 0.2);
}

TEST(Statistics, Bytes) {
  Pool pool(1);
  const auto before = pool.stats().workers.at(0);
  const std::vector<double> large(100'000, 1.0);
  pool.apply([](const std::vector<double>& x) { return x; }, large);
  const auto after = pool.stats().workers.at(0);
  EXPECT_GE(after.bytes_sent - before.bytes_sent, 800'000U);
  EXPECT_GE(after.bytes_received - before.bytes_received, 800'000U);
  EXPECT_LT(after.bytes_received - before.bytes_received, 810'000U);
}

TEST(Statistics, RestartsAndMemory) {
  Pool pool(2);
  for (int i = 0; i < 3; ++i) EXPECT_THROW(pool.apply([] { die(Death::quick_exit_3); }), WorkerDied);
  expect_works(pool);
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.restarts, 3U);
  EXPECT_EQ(stats.workers[0].restarts + stats.workers[1].restarts, 3U);
  EXPECT_GT(std::max(stats.workers[0].max_rss_kib, stats.workers[1].max_rss_kib), 100);
}

TEST(Statistics, AfterTheEnd) {
  Pool pool(2);
  pool.map(negate, numbers(10));
  pool.close();
  pool.join();
  EXPECT_EQ(pool.stats().tasks, 10U);
  EXPECT_EQ(pool.size(), 2U);
  EXPECT_TRUE(pool.pids().empty());
}

}  // namespace
}  // namespace brood::pool_tests
