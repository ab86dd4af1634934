// A result that is late does not stop the others.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

constexpr int kTasks = 200;

// The first task ends when the test lets it.
auto task(Counter* gate, Counter* done) {
  return [gate, done](int i) {
    if (i == 0) await(*gate);
    sleep_ms(1);  // slow enough for a small measured window
    done->fetch_add(1);
    return i;
  };
}

TEST(Window, OthersGoOnWhileTheFirstIsLate) {
  Counters words(2);
  Pool pool(2);
  const std::vector<int> input = numbers(kTasks);
  auto stream = pool.imap(task(&words[0], &words[1]), input);
  EXPECT_FALSE(stream.next_for(1ms));
  // Only a thread that waits for the stream gives it room.
  for (int rounds = 0; words[1] < kTasks - 1 && rounds < 10'000; ++rounds) EXPECT_FALSE(stream.next_for(10ms));
  EXPECT_EQ(words[1], kTasks - 1);
  EXPECT_EQ(stream.completed(), static_cast<std::uint64_t>(kTasks - 1));
  words[0] = 1;
  std::vector<int> all;
  while (auto next = stream.next()) all.push_back(*next);
  EXPECT_EQ(all, input);
}

TEST(Window, AsAskedForItDoesNotStretch) {
  Counters words(2);
  Pool pool(2);
  const std::vector<int> input = numbers(kTasks);
  auto stream = pool.with({.window = 10}).imap(task(&words[0], &words[1]), input);
  for (int rounds = 0; words[1] < 9 && rounds < 10'000; ++rounds) EXPECT_FALSE(stream.next_for(10ms));
  EXPECT_FALSE(stream.next_for(100ms));
  EXPECT_EQ(words[1], 9);
  words[0] = 1;
  std::vector<int> all;
  while (auto next = stream.next()) all.push_back(*next);
  EXPECT_EQ(all, input);
}

// What waits for its turn is bounded in bytes: tasks are not begun for ever while the first is late.
TEST(Window, LargeResultsDoNotPileUp) {
  constexpr std::size_t kBytes = std::size_t{4} << 20U;
  Counters words(2);
  Pool pool(2);
  auto stream = pool.imap(
      [gate = &words[0], begun = &words[1]](int i) {
        begun->fetch_add(1);
        if (i == 0) await(*gate);
        return std::string(kBytes, 'x');
      },
      Endless(0));
  EXPECT_FALSE(stream.next_for(1s));
  EXPECT_FALSE(stream.next_for(1s));
  EXPECT_LT(words[1], 40);
  words[0] = 1;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stream.next().value().size(), kBytes);
}

TEST(MovedFrom, SaysSo) {
  Pool pool(1);
  const Pool taken = std::move(pool);
  // NOLINTBEGIN(bugprone-use-after-move): that is the point
  EXPECT_NE(std::string(thrown_by<ProcessError>([&] { pool.apply(negate, 1); }).what()).find("moved from"),
            std::string::npos);
  EXPECT_THROW(pool.close(), ProcessError);
  EXPECT_THROW(pool.size(), ProcessError);
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_EQ(taken.apply(negate, 1), -1);
}

TEST(Verbs, TakeAListInBraces) {
  const Pool pool(1);
  EXPECT_EQ(pool.map(negate, {1, 2, 3}), (std::vector<int>{-1, -2, -3}));
}

}  // namespace
}  // namespace brood::pool_tests
