#include "os/clock.hpp"

#include <time.h>

#include "os/support.hpp"

namespace brood::os {
namespace {

using namespace std::chrono_literals;

TEST(Clock, IsMonotonicAndShared) {
  const std::int64_t before = now_ns();
  EXPECT_EQ(testing::run_in_child([&] { return now_ns() >= before ? 0 : 1; }), 0);
  EXPECT_GE(now_ns(), before);
}

TEST(Deadline, Never) {
  const Deadline never = Deadline::never();
  EXPECT_TRUE(never.is_never());
  EXPECT_FALSE(never.passed());
  EXPECT_EQ(never.remaining_ns(), INT64_MAX);
}

TEST(Deadline, After) {
  const Deadline later = Deadline::after(1h);
  EXPECT_FALSE(later.passed());
  EXPECT_GT(later.remaining_ns(), std::chrono::nanoseconds(59min).count());
  EXPECT_LE(later.remaining_ns(), std::chrono::nanoseconds(1h).count());
  EXPECT_TRUE(Deadline::after(0ns).passed());
  EXPECT_EQ(Deadline::after(0ns).remaining_ns(), 0);
  EXPECT_TRUE(Deadline::after(-5s).passed());
  EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds::min()).passed());
  EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds::max()).is_never());
}

TEST(Deadline, At) {
  EXPECT_TRUE(Deadline::at(0).passed());
  EXPECT_EQ(Deadline::at(1234).at_ns(), 1234);
  EXPECT_FALSE(Deadline::at(now_ns() + 3'600'000'000'000).passed());
}

TEST(Clock, SleepUntil) {
  const Deadline soon = Deadline::after(5ms);
  sleep_until(soon);
  EXPECT_TRUE(soon.passed());
  sleep_until(Deadline::at(0));
}

}  // namespace
}  // namespace brood::os
