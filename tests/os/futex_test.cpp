#include "os/futex.hpp"

#include <sys/time.h>

#include <csignal>
#include <new>

#include "os/memory.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using namespace std::chrono_literals;
using Word = std::atomic<std::uint32_t>;

TEST(Futex, ReturnsAtOnceWhenTheWordDiffers) {
  Word word{1};
  EXPECT_TRUE(futex_wait(word, 0, Deadline::never()));
}

TEST(Futex, FalseOnlyAtTheDeadline) {
  Word word{0};
  EXPECT_FALSE(futex_wait(word, 0, Deadline::after(2ms)));
  EXPECT_FALSE(futex_wait(word, 0, Deadline::at(0)));
}

TEST(Futex, WakeWithoutSleepers) {
  Word word{0};
  EXPECT_EQ(futex_wake(word, 1), 0);
}

// With a process-private futex, as std::atomic::wait uses it, this waits for ever.
TEST(Futex, WakesAnotherProcess) {
  const Mapping memory = Mapping::anonymous_shared(page_size());
  auto* const word = new (memory.data()) Word(0);
  const pid_t child = testing::fork_child([&] {
    while (word->load() == 0) futex_wait(*word, 0, Deadline::never());
    return 5;
  });
  // Counts only sleepers that were really woken.
  EXPECT_TRUE(testing::eventually([&] { return futex_wake(*word, 1) == 1; }));
  word->store(1);
  EXPECT_TRUE(testing::eventually([&] {
    futex_wake(*word, -1);
    return ::waitpid(child, nullptr, WNOHANG) == child;
  }));
}

TEST(Futex, WakesAtMostCount) {
  Word word{0};
  std::atomic<int> awake{0};
  std::thread sleepers[3];
  for (std::thread& sleeper : sleepers) {
    sleeper = std::thread([&] {
      while (word.load() == 0) futex_wait(word, 0, Deadline::never());
      ++awake;
    });
  }
  EXPECT_TRUE(testing::eventually([&] { return futex_wake(word, 2) <= 2 && futex_wake(word, 0) == 0; }));
  word.store(1);
  EXPECT_TRUE(testing::eventually([&] {
    futex_wake(word, -1);
    return awake.load() == 3;
  }));
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(Futex, Faults) {
  Word word{0};
  for (const int error : {EINTR, EAGAIN}) {
    const testing::Fault fault(Call::futex, error);
    EXPECT_TRUE(futex_wait(word, 0, Deadline::never()));
  }
  {
    const testing::Fault fault(Call::futex, ENOMEM);
    EXPECT_EQ(testing::error_of([&] { futex_wait(word, 0, Deadline::never()); }), ENOMEM);
  }
  const testing::Fault fault(Call::futex, EFAULT);
  EXPECT_EQ(futex_wake(word, 1), 0);
}

TEST(Futex, SignalIsNotATimeout) {
  EXPECT_EQ(testing::run_in_child([] {
              ::signal(SIGALRM, [](int) {});
              struct sigaction action = {};
              action.sa_handler = [](int) {};
              ::sigaction(SIGALRM, &action, nullptr);
              const itimerval timer{{0, 5000}, {0, 5000}};
              ::setitimer(ITIMER_REAL, &timer, nullptr);
              Word word{0};
              return futex_wait(word, 0, Deadline::never()) ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace brood::os
