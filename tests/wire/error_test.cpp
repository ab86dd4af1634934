#include <brood/error.hpp>

#include <gtest/gtest.h>

#include <string>

namespace brood {
namespace {

TEST(WorkerDiedTest, NamesTheSignal) {
  const WorkerDied died(1234, -9, 7);
  EXPECT_STREQ(died.what(),
               "worker 1234 was killed by signal 9 (SIGKILL) while it ran task 7; other tasks are not affected");
  EXPECT_EQ(died.signal(), 9);
  EXPECT_EQ(died.pid(), 1234);
  EXPECT_EQ(died.exitcode(), -9);
  EXPECT_EQ(died.task_index(), 7U);
  EXPECT_NE(std::string(WorkerDied(1, -11, 0).what()).find("SIGSEGV"), std::string::npos);
  EXPECT_NE(std::string(WorkerDied(1, -31, 0).what()).find("SIGSYS"), std::string::npos);
  EXPECT_NE(std::string(WorkerDied(1, -40, 0).what()).find("signal 40 (a real-time signal)"), std::string::npos);
  EXPECT_NE(std::string(WorkerDied(1, -99, 0).what()).find("signal 99 (unknown)"), std::string::npos);
}

TEST(WorkerDiedTest, NamesTheExitStatus) {
  const WorkerDied died(1234, 3, 0);
  EXPECT_STREQ(died.what(), "worker 1234 exited with status 3 while it ran task 0; other tasks are not affected");
  EXPECT_EQ(died.signal(), 0);
}

TEST(RemoteErrorTest, TellsAll) {
  const RemoteError error("std::out_of_range", "no such key", 1234, 7);
  EXPECT_STREQ(error.what(), "std::out_of_range: no such key (task 7, worker 1234)");
  EXPECT_STREQ(RemoteError("int", "", 1, 0).what(), "int (task 0, worker 1)");
}

template <class E>
void expect_caught_three_ways() {
  EXPECT_THROW(throw E("text"), E);
  EXPECT_THROW(throw E("text"), Error);
  EXPECT_THROW(throw E("text"), std::exception);
  try {
    throw E("text");
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "text");
  }
}

TEST(ErrorTest, EveryTypeIsCaughtThreeWays) {
  expect_caught_three_ways<TimeoutError>();
  expect_caught_three_ways<Interrupted>();
  expect_caught_three_ways<Cancelled>();
  expect_caught_three_ways<Closed>();
  expect_caught_three_ways<EndOfFile>();
  expect_caught_three_ways<AuthenticationError>();
  expect_caught_three_ways<ArchiveError>();
  expect_caught_three_ways<BrokenBarrier>();
  expect_caught_three_ways<ProcessError>();
}

}  // namespace
}  // namespace brood
