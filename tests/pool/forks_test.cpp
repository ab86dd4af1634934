// Tasks that fork, and pools in forked children.
#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

enum class ChildEnd { returns, throws, exits, quick_exits, killed };

int fork_in_task(ChildEnd end, Counter* ran, int x) {
  const pid_t child = ::fork();
  if (child == 0) {
    ++*ran;
    switch (end) {
      case ChildEnd::returns:
        return -1000;  // into the worker's code
      case ChildEnd::throws:
        throw std::runtime_error("from a stranger");
      case ChildEnd::exits:
        std::exit(0);
      case ChildEnd::quick_exits:
        ::_exit(0);
      case ChildEnd::killed:
        ::raise(SIGKILL);
    }
  }
  const int code = exit_code_of(child);
  return code == (end == ChildEnd::killed ? -SIGKILL : 0) ? x : -1;
}

TEST(TaskThatForks, AnswersOnce) {
  Counters ran;
  Pool pool(2);
  for (const ChildEnd end :
       {ChildEnd::returns, ChildEnd::throws, ChildEnd::exits, ChildEnd::quick_exits, ChildEnd::killed}) {
    const auto task = [end, ran = ran.get()](int x) { return fork_in_task(end, ran, x); };
    EXPECT_EQ(pool.with({.chunksize = 1}).map(task, numbers(20)), numbers(20));
    EXPECT_EQ(pool.with({.chunksize = 5}).map(task, numbers(20)), numbers(20));
    EXPECT_EQ(pool.apply_async(task, 3).get(), 3);
    EXPECT_EQ(ran[0].exchange(0), 41);
    expect_works(pool);
  }
  EXPECT_EQ(pool.stats().restarts, 0U);
}

TEST(TaskThatForks, VoidResult) {
  Pool pool(1);
  pool.apply([] {
    if (const pid_t child = ::fork(); child != 0) exit_code_of(child);
  });
  expect_works(pool);
}

// Somebody it leaves behind keeps all descriptors of the worker open.
TEST(TaskThatForks, GrandchildHoldsUpNothing) {
  Shared<pid_t> grandchildren(2);
  {
    Pool pool(1);
    const auto leave_one_behind = [at = grandchildren.get()](int which) {
      const pid_t child = ::fork();
      if (child == 0) {
        for (;;) ::pause();
      }
      at[which] = child;
      if (which == 1) die(Death::killed);
    };
    pool.apply(leave_one_behind, 0);
    EXPECT_THROW(pool.apply(leave_one_behind, 1), WorkerDied);
    expect_works(pool);
    pool.close();
    pool.join();
  }
  for (const pid_t pid : grandchildren) {
    ASSERT_GT(pid, 1);
    EXPECT_TRUE(is_running(pid));
    ::kill(pid, SIGKILL);
  }
}

TEST(TaskThatForks, ChildMayMakeAPool) {
  Counters result;
  Pool pool(1);
  pool.apply([result = result.get()] {
    const pid_t child = fork_child([&] {
      Pool inner(2);
      *result = inner.apply(twice, 21);
      return 0;
    });
    exit_code_of(child);
  });
  EXPECT_EQ(*result, 42);
}

// --- an inherited pool ----------------------------------------------------------------------------------------------

template <class F>
bool is_misuse(F f) {
  try {
    f();
  } catch (const ProcessError& error) {
    return std::string(error.what()).find("forked") != std::string::npos;
  }
  return false;
}

TEST(InheritedPool, IsDeadAndHarmless) {
  auto pool = std::make_unique<Pool>(2);
  auto answered = pool->apply_async(negate, 1);
  auto open = pool->apply_async([] { sleep_ms(200); });
  auto stream = std::make_unique<ResultStream<int>>(pool->imap(negate, numbers(100)));
  EXPECT_EQ(answered.get(), -1);
  EXPECT_EQ(stream->next(), 0);
  const int wrong = run_in_child([&] {
    int line = 0;
    auto check = [&, n = 0](bool ok) mutable {
      ++n;
      if (!ok && line == 0) line = n;
    };
    check(is_misuse([&] { pool->apply(negate, 1); }));               // 1
    check(is_misuse([&] { pool->apply_async(negate, 1); }));         // 2
    check(is_misuse([&] { pool->map(negate, numbers(3)); }));        // 3
    check(is_misuse([&] { pool->map_async(negate, numbers(3)); }));  // 4
    check(is_misuse([&] { pool->imap(negate, numbers(3)); }));       // 5
    check(is_misuse([&] { pool->close(); }));                        // 6
    check(is_misuse([&] { pool->join(); }));                         // 7
    check(is_misuse([&] { pool->pids(); }));                         // 8
    check(is_misuse([&] { pool->stats(); }));                        // 9
    check(is_misuse([&] { open.get(); }));                           // 10
    check(is_misuse([&] { open.cancel(); }));                        // 11
    check(is_misuse([&] {                                            // 12
      while (stream->next()) {
      }
    }));
    check(answered.get() == -1);  // 13
    pool->terminate();
    stream.reset();
    pool.reset();
    Pool own(1);
    check(own.apply(negate, 4) == -4);  // 14
    return line;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool->stats().restarts, 0U);
  EXPECT_EQ(stream->next(), -1);
  open.get();
  expect_works(*pool);
}

TEST(InheritedPool, ChildMayExit) {
  static std::unique_ptr<Pool> pool;
  pool = std::make_unique<Pool>(2);
  pool->apply_async(negate, 1).get();  // with a service thread, which the child does not have
  EXPECT_EQ(run_in_child([] {
              std::exit(5);
              return 0;
            }),
            5);
  expect_works(*pool);
  pool.reset();
}

TEST(InheritedPool, InTasksOfAnotherPool) {
  Pool outer(2);
  Pool* const pointer = &outer;
  Pool inner(PoolOptions{.processes = 1, .start_method = StartMethod::fork});
  EXPECT_EQ(inner.apply([pointer] { return is_misuse([pointer] { pointer->apply(negate, 1); }); }), true);
  expect_works(outer);
}

// --- a fork in the midst of other threads ------------------------------------------------------------------

TEST(BusyParent, ThreadsThatHoldLocks) {
  std::atomic<bool> stop{false};
  std::FILE* const nowhere = std::fopen("/dev/null", "we");
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        std::vector<std::string> strings;
        for (std::size_t i = 0; i < 100; ++i) strings.emplace_back(i * 10, 'x');
      }
    });
    threads.emplace_back([&] {
      while (!stop) std::fprintf(nowhere, "%d", 1);
    });
  }
  for (std::size_t i = 0; i < scaled(50); ++i) {
    Pool pool(2);
    const auto lengths = pool.map(
        [](int x) {
          const std::string text(static_cast<std::size_t>(x), 'x');  // needs malloc
          std::printf("%s", "");
          return static_cast<int>(text.size());
        },
        numbers(50));
    EXPECT_EQ(lengths, numbers(50));
    ::kill(pool.pids()[0], SIGKILL);
    expect_recovers(pool);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  std::fclose(nowhere);
}

TEST(BusyParent, ThreadThatHoldsStdout) {
  Counters gates(2);
  std::thread holder([&] {
    ::flockfile(stdout);
    gates[0] = 1;
    await(gates[1]);
    ::funlockfile(stdout);
  });
  await(gates[0]);
  {
    Pool pool(2);
    EXPECT_EQ(pool.map(
                      [](int x) {
                        std::printf("%s", "");
                        std::fflush(stdout);
                        return -x;
                      },
                      numbers(20))
                  .back(),
              -19);
    ::kill(pool.pids()[0], SIGKILL);
    expect_recovers(pool);
  }
  gates[1] = 1;
  holder.join();
}

}  // namespace
}  // namespace brood::pool_tests
