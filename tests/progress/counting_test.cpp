// Counting by many threads, and when a bar looks at the clock.
#include <brood/progress.hpp>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "os/clock.hpp"
#include "progress/pace.hpp"
#include "progress/pseudo_terminal.hpp"
#include "progress/speed.hpp"
#include "support/scale.hpp"

namespace brood {
namespace {

using namespace std::chrono_literals;
using bars::Pace;
using detail::ProgressCounter;

TEST(Counting, IsExactWithManyThreads) {
  constexpr std::uint64_t kThreads = 8;
  const std::uint64_t each = testing::scaled(200000);
  testing::PseudoTerminal terminal;
  Progress bar({.total = kThreads * each * 3, .bar_format = "{n}/{total}", .mininterval = 1ms, .fd = terminal.fd()});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < each; ++i) {
        bar.update(1);
        bar.update(2);
        if (i % 5000 == 0) bar.set_postfix("thread " + std::to_string(t));
        if (i % 7000 == 0) bar.tick();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bar.n(), kThreads * each * 3);
  bar.close();
  const std::string all = std::to_string(kThreads * each * 3);
  EXPECT_EQ(terminal.lines(), std::vector<std::string>{all + "/" + all});
}

TEST(Counting, BarsComeAndGoInManyThreads) {
  constexpr int kThreads = 8;
  const int each = static_cast<int>(testing::scaled(200));
  testing::PseudoTerminal terminal(80, 6);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        ProgressOptions options{
            .total = 2, .desc = std::to_string(t), .leave = false, .mininterval = 0s, .fd = terminal.fd()};
        if (t % 2 == 0) options.position = t;
        Progress bar(std::move(options));
        bar.update();
        bar.reset();
        bar.update(2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(terminal.lines(), std::vector<std::string>{});
  EXPECT_EQ(terminal.settled().cursor_row(), 0u);
}

TEST(Counting, WithoutAnIntervalEveryUpdateIsDrawn) {
  testing::PseudoTerminal terminal;
  Progress bar({.bar_format = "{n}", .mininterval = 0s, .fd = terminal.fd()});
  for (int i = 1; i <= 20; ++i) {
    bar.update();
    EXPECT_EQ(terminal.lines(), std::vector<std::string>{std::to_string(i)});
  }
}

TEST(Counting, MinitersHoldsDrawingsBack) {
  testing::PseudoTerminal terminal;
  Progress bar({.bar_format = "{n}", .mininterval = 0s, .fd = terminal.fd(), .miniters = 10});
  bar.update(9);
  EXPECT_EQ(terminal.lines(), std::vector<std::string>{"0"});
  bar.update(1);
  EXPECT_EQ(terminal.lines(), std::vector<std::string>{"10"});
}

TEST(Pace, LooksSeldomWhenCountingIsFastAndSoonAgainWhenItBecomesSlow) {
  ProgressCounter counter;
  Pace pace({.mininterval_ns = 1'000'000'000}, 0, os::now_ns(), INT64_MAX);
  std::uint64_t n = 0;
  std::uint64_t looks = 0;
  const std::int64_t until_ns = os::now_ns() + 20'000'000;
  while (os::now_ns() < until_ns) {
    for (int i = 0; i < 1000; ++i) {
      if (++n < counter.wake) continue;
      ++looks;
      EXPECT_FALSE(pace.look(counter, n));
    }
  }
  EXPECT_LT(looks * 20, n);  // a busy machine makes looks seldomer still
  // The next look is less than the steps of a 50th of a millisecond away.
  const std::uint64_t ahead = counter.wake - n;
  EXPECT_LT(ahead, n);
}

TEST(Pace, AJumpBackIsNoticed) {
  ProgressCounter counter;
  Pace pace({.mininterval_ns = 1'000'000}, 0, os::now_ns(), INT64_MAX);
  counter.n = 1000000;
  pace.look(counter, 1000000);
  EXPECT_GT(counter.wake, 1000000u);
  pace.jump(counter, 3);
  EXPECT_EQ(counter.n, 3u);
  EXPECT_LE(counter.wake, 3u);
}

TEST(Pace, NeverOverflows) {
  ProgressCounter counter;
  Pace pace({.mininterval_ns = INT64_MAX, .miniters = UINT64_MAX}, 0, os::now_ns(), 0);
  counter.total = UINT64_MAX - 1;
  EXPECT_TRUE(pace.look(counter, UINT64_MAX - 1));
  EXPECT_GE(counter.wake, UINT64_MAX - 1);
  pace.drawn(counter, UINT64_MAX - 2, os::now_ns());
  EXPECT_FALSE(pace.time_is_up(os::now_ns()));
  EXPECT_FALSE(pace.look(counter, UINT64_MAX - 1));
}

TEST(Speed, IsTqdmsSmoothedRate) {
  // The values of tqdm.std.EMA(0.3), that of the counts over that of the seconds.
  bars::Speed speed(0.3);
  EXPECT_EQ(speed.per_second(), std::nullopt);
  speed.add(10, 1);
  EXPECT_NEAR(*speed.per_second(), 10, 1e-12);
  speed.add(40, 2);
  EXPECT_NEAR(*speed.per_second(), 17.407407407407405, 1e-12);
  speed.add(5, 0.5);
  EXPECT_NEAR(*speed.per_second(), 15.857740585774058, 1e-12);
}

}  // namespace
}  // namespace brood
