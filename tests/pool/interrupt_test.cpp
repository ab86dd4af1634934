// Ctrl-C in a program that has no handler of its own: the waiting call throws Interrupted, workers are not hit, and
// nothing is printed or left behind.
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// `f(ready)` runs in a process group of its own, which gets SIGINT once it has called ready(). Its exit code; what it
// prints has to be nothing.
int interrupted(const std::function<int(const std::function<void()>&)>& f, int times = 1) {
  Pipe ready;
  Pipe output;
  const pid_t pid = fork_child([&] {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_DFL);
    ::dup2(output.writer.get(), 1);
    ::dup2(output.writer.get(), 2);
    return f([&] { ready.put("x"); });
  });
  char byte = 0;
  EXPECT_EQ(os::read_some(ready.reader.get(), &byte, 1), 1U);
  for (int i = 0; i < times; ++i) {
    sleep_ms(30);  // until it is inside
    ::kill(-pid, SIGINT);
  }
  const int code = exit_code_of(pid);
  EXPECT_EQ(output.rest(), "");
  return code;
}

constexpr int kInterrupted = 42;

// What `call(pool)` throws; then the pool goes on, ends, and leaves no child.
template <class F>
int exit_code_after(F call, const std::function<void()>& ready) {
  try {
    Pool pool(2);
    pool.apply(negate, 1);
    bool thrown = false;
    ready();
    try {
      call(pool);
    } catch (const Interrupted&) {
      thrown = true;
    }
    if (!thrown) return 1;
    const auto pids = pool.pids();
    if (pids.size() != 2) return 2;
    pool.terminate();
  } catch (const std::exception&) {
    return 3;
  }
  return has_children() ? 4 : kInterrupted;
}

void sleep_long(int) { sleep_ms(600'000); }

#define EXPECT_INTERRUPTED(call)                                                                             \
  EXPECT_EQ(interrupted([](const auto& ready) { return exit_code_after([](Pool& pool) { call; }, ready); }), \
            kInterrupted)

TEST(Interrupt, EveryCallThatWaits) {
  EXPECT_INTERRUPTED(pool.apply(sleep_long, 1));
  EXPECT_INTERRUPTED(pool.map(sleep_long, numbers(10)));
  EXPECT_INTERRUPTED(pool.starmap(sleep_long, std::vector(10, std::tuple(1))));
  EXPECT_INTERRUPTED(pool.apply_async(sleep_long, 1).get());
  EXPECT_INTERRUPTED(pool.apply_async(sleep_long, 1).wait_for(1h));
  EXPECT_INTERRUPTED(pool.map_async(sleep_long, numbers(10)).get());
  EXPECT_INTERRUPTED(pool.imap(sleep_long, numbers(10)).next());
  EXPECT_INTERRUPTED(pool.imap(sleep_long, numbers(10)).next_for(1h));
  EXPECT_INTERRUPTED(pool.imap_unordered(sleep_long, Endless(0)).next());
}

TEST(Interrupt, Join) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              Pool pool(2);
              pool.apply_async(sleep_long, 1);
              pool.close();
              ready();
              try {
                pool.join();
                return 1;
              } catch (const Interrupted&) {
                pool.terminate();
                pool.join();
                return has_children() ? 2 : kInterrupted;
              }
            }),
            kInterrupted);
}

// The exception goes its way: the pool's scope ends while unwinding.
TEST(Interrupt, Uncaught) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              try {
                Pool pool(2);
                pool.apply(negate, 1);
                ready();
                pool.map(sleep_long, numbers(10));
              } catch (const Interrupted&) {
                return has_children() ? 2 : kInterrupted;
              }
              return 1;
            }),
            kInterrupted);
}

TEST(Interrupt, WorkersDoNotNotice) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              Pool pool(2);
              auto answer = pool.apply_async([](int x) { return sleep_ms(300), x; }, 5);
              pool.apply(negate, 1);
              ready();
              try {
                answer.wait();
                return 1;
              } catch (const Interrupted&) {
              }
              return answer.get() == 5 && pool.stats().restarts == 0 ? kInterrupted : 2;
            }),
            kInterrupted);
}

TEST(Interrupt, EveryThreadThatWaitsHearsOfIt) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              Pool pool(2);
              pool.apply(negate, 1);
              std::atomic<int> heard{0};
              std::vector<std::thread> threads;
              for (int t = 0; t < 4; ++t) {
                threads.emplace_back([&] {
                  try {
                    pool.map(sleep_long, numbers(10));
                  } catch (const Interrupted&) {
                    ++heard;
                  }
                });
              }
              ready();
              for (auto& thread : threads) thread.join();
              pool.terminate();
              return heard == 4 ? kInterrupted : 1;
            }),
            kInterrupted);
}

TEST(Interrupt, NobodyWaits) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              Pool pool(2);
              pool.apply_async(sleep_long, 1);
              pool.apply(negate, 1);
              ready();
              for (;;) ::pause();
              return 1;
            }),
            -SIGINT);
}

TEST(Interrupt, HandlerOfTheProgramsOwn) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              static volatile sig_atomic_t handled = 0;
              ::signal(SIGINT, [](int) { handled = 1; });
              Pool pool(2);
              auto answer = pool.apply_async([](int x) { return sleep_ms(200), x; }, 5);
              pool.apply(negate, 1);
              ready();
              return answer.get() == 5 && handled == 1 ? kInterrupted : 1;
            }),
            kInterrupted);
}

TEST(Interrupt, IgnoredByTheProgram) {
  EXPECT_EQ(interrupted([](const auto& ready) {
              ::signal(SIGINT, SIG_IGN);
              Pool pool(2);
              auto answer = pool.apply_async([](int x) { return sleep_ms(200), x; }, 5);
              pool.apply(negate, 1);
              ready();
              return answer.get() == 5 ? kInterrupted : 1;
            }),
            kInterrupted);
}

// Afterwards the signal is what it was.
TEST(Interrupt, DispositionIsRestored) {
  struct sigaction now = {};
  {
    Pool pool(1);
    expect_works(pool);
  }
  ::sigaction(SIGINT, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace brood::pool_tests
