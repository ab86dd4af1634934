// The parent dies, however and whenever it dies: nobody of its family survives. And the template process dies.
#include "pool/orphans.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace brood::pool_tests {
namespace {

// `ready` counts those that are in the midst of it.
struct Endless {
  Counter* ready;
  void operator()(int) const {
    ++*ready;
    for (volatile int x = 0;;) x = x + 1;
  }
};

TEST_F(Orphans, InTheMiddleOfLongTasks) {
  expect_none_survives([](Pipe& pipe) {
    Counters ready;
    Pool pool(3);
    const auto endless = [ready = ready.get()](int x) { Endless{ready}(x); };
    std::thread teller([&] {
      while (*ready < 3) ::usleep(100);
      pipe.put("x");
    });
    pool.map(endless, numbers(10));
  });
}

TEST_F(Orphans, ByEverySignal) {
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGABRT, SIGQUIT}) {
    expect_none_survives(
        [](Pipe& pipe) {
          const rlimit no_core{0, 0};
          ::setrlimit(RLIMIT_CORE, &no_core);
          for (const int one : {SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGABRT, SIGQUIT}) ::signal(one, SIG_DFL);
          Pool pool(2);
          pool.apply_async([] { sleep_ms(600'000); });
          expect_works(pool);
          pipe.put("x");
          ::pause();
        },
        0, signal);
  }
}

TEST_F(Orphans, WhileIdle) {
  expect_none_survives([](Pipe& pipe) {
    Pool pool(3);
    expect_works(pool);
    pipe.put("x");
    ::pause();
  });
}

TEST_F(Orphans, TasksThatIgnoreSignals) {
  expect_none_survives([](Pipe& pipe) {
    Counters ready;
    Pool pool(2);
    std::thread teller([&] {
      while (*ready < 2) ::usleep(100);
      pipe.put("x");
    });
    pool.map(
        [ready = ready.get()](int) {
          sigset_t all;
          ::sigfillset(&all);
          ::sigprocmask(SIG_SETMASK, &all, nullptr);
          ++*ready;
          for (;;) ::pause();
        },
        numbers(2));
  });
}

TEST_F(Orphans, StoppedWorkers) {
  expect_none_survives([](Pipe& pipe) {
    Pool pool(2);
    expect_works(pool);
    for (const pid_t pid : pool.pids()) ::kill(pid, SIGSTOP);
    pipe.put("x");
    ::pause();
  });
}

TEST_F(Orphans, WithFullRings) {
  expect_none_survives([](Pipe& pipe) {
    Pool pool(2);
    const std::vector<double> large(2'000'000, 1.0);
    std::vector<AsyncResult<std::vector<double>>> answers;
    for (int i = 0; i < 6; ++i) {
      answers.push_back(pool.apply_async([](const std::vector<double>& x) { return x; }, large));
    }
    pipe.put("x");
    for (auto& answer : answers) answer.get();
    ::pause();
  });
}

TEST_F(Orphans, NestedPools) {
  expect_none_survives([](Pipe& pipe) {
    Counters ready;
    Pool pool(2);
    std::thread teller([&] {
      while (*ready < 4) ::usleep(100);
      pipe.put("x");
    });
    pool.map(
        [ready = ready.get()](int) {
          Pool inner(2);
          inner.map(
              [ready](int) {
                ++*ready;
                for (;;) ::pause();
              },
              numbers(2));
        },
        numbers(2));
  });
}

TEST_F(Orphans, InTheInitializer) {
  expect_none_survives([](Pipe& pipe) {
    Counters ready;
    Pool pool(PoolOptions{.processes = 2, .initializer = [ready = ready.get()] {
                            ++*ready;
                            for (;;) ::pause();
                          }});
    while (*ready < 2) ::usleep(100);
    pipe.put("x");
    ::pause();
  });
}

// The window in which nobody may have asked for its parent's death signal yet.
TEST_F(Orphans, WhileStartingUp) {
  for (std::size_t round = 0; round < scaled(100); ++round) {
    expect_none_survives(
        [](Pipe&) {
          for (;;) {
            Pool pool(4);
            pool.apply(negate, 1);
          }
        },
        static_cast<int>(100 + round * 37));
  }
}

TEST_F(Orphans, WhileWorkersAreReplaced) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    expect_none_survives(
        [](Pipe&) {
          Pool pool(3);
          for (;;) {
            for (const pid_t pid : pool.pids()) ::kill(pid, SIGKILL);
          }
        },
        static_cast<int>(3000 + round * 331));
  }
}

TEST_F(Orphans, WhileEnding) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    expect_none_survives(
        [](Pipe& pipe) {
          Pool pool(4);
          expect_works(pool);
          pipe.put("x");
        },
        0);
  }
}

// --- the template process --------------------------------------------------------------------------------------------

void kill_template(Pool& pool) {
  if (const pid_t pid = template_of(pool); pid > 1) ::kill(pid, SIGKILL);
}

TEST(TemplateProcess, DiesWhileTasksRun) {
  Pool pool(2);
  for (std::size_t round = 0; round < scaled(20); ++round) {
    auto stream = pool.with({.chunksize = 3}).imap([](int x) { return ::usleep(200), x; }, numbers(200));
    EXPECT_EQ(stream.next(), 0);
    kill_template(pool);
    int deaths = 0;
    for (int x = 1; x < 200; ++x) {
      try {
        EXPECT_EQ(stream.next(), x);
      } catch (const WorkerDied& error) {
        EXPECT_EQ(error.task_index(), static_cast<std::uint64_t>(x));
        ++deaths;
      }
    }
    EXPECT_LE(deaths, 2);
    expect_recovers(pool);
  }
}

TEST(TemplateProcess, DiesWhileIdle) {
  Pool pool(2);
  expect_works(pool);
  const pid_t first = template_of(pool);
  ::kill(first, SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_running(first); }));
  expect_recovers(pool);
  EXPECT_NE(template_of(pool), first);
}

TEST(TemplateProcess, DiesAndNoTaskRunsTwice) {
  constexpr int kTasks = 2000;
  Counters runs(kTasks);
  Pool pool(2);
  std::atomic<bool> stop{false};
  std::thread killer([&] {
    while (!stop) {
      sleep_ms(5);
      kill_template(pool);
    }
  });
  auto stream = pool.with({.chunksize = 5})
                    .imap([runs = runs.get()](int x) { return ++runs[x], ::usleep(50), x; }, numbers(kTasks));
  for (int x = 0; x < kTasks; ++x) {
    try {
      EXPECT_EQ(stream.next(), x);
      EXPECT_EQ(runs[static_cast<std::size_t>(x)], 1);
    } catch (const WorkerDied&) {
      EXPECT_LE(runs[static_cast<std::size_t>(x)], 1);
    }
  }
  stop = true;
  killer.join();
  expect_recovers(pool);
}

TEST(TemplateProcess, IsStoppedAtTheEnd) {
  auto pool = std::make_unique<Pool>(2);
  expect_works(*pool);
  ::kill(template_of(*pool), SIGSTOP);
  EXPECT_EQ(pool->apply(negate, 3), -3);  // the workers do not need it
  pool->terminate();
  pool.reset();
  EXPECT_FALSE(has_children());
}

TEST(TemplateProcess, HasNoSignalHandlersOfTheProgram) {
  static volatile sig_atomic_t handled = 0;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { handled = 1; };
  ::sigaction(SIGUSR1, &action, &before);
  Pool pool(1);
  expect_works(pool);
  ::kill(template_of(pool), SIGUSR1);
  sleep_ms(5);
  expect_works(pool);
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(handled, 0);
}

}  // namespace
}  // namespace brood::pool_tests
