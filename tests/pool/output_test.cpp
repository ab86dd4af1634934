// What tasks print: nothing lost, nothing doubled, lines whole.
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// Everything that `f` and its workers write to stdout, which is a pipe, in a process of its own.
template <class F>
std::string stdout_of(F&& f) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), 1);
    f();
    std::fflush(nullptr);
    std::cout.flush();
    return 0;
  });
  std::string text = pipe.rest();
  EXPECT_EQ(exit_code_of(pid), 0);
  return text;
}

std::map<std::string, int> count_lines(const std::string& text) {
  std::map<std::string, int> counts;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) ++counts[line];
  return counts;
}

std::string line_of(int x, std::size_t length) {
  std::string line = "line " + std::to_string(x) + " ";
  line.resize(length, static_cast<char>('a' + x % 26));
  return line;
}

void expect_each_once(const std::string& text, int count, std::size_t length) {
  const auto lines = count_lines(text);
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(count));
  for (int x = 0; x < count; ++x) EXPECT_TRUE(lines.contains(line_of(x, length))) << x;
  for (const auto& [line, times] : lines) EXPECT_EQ(times, 1) << line;
}

constexpr int kLines = 500;

TEST(Output, Printf) {
  expect_each_once(stdout_of([] {
                     Pool pool(3);
                     pool.map([](int x) { std::printf("%s\n", line_of(x, 100).c_str()); }, numbers(kLines));
                   }),
                   kLines, 100);
}

TEST(Output, Cout) {
  expect_each_once(stdout_of([] {
                     Pool pool(3);
                     pool.map([](int x) { std::cout << line_of(x, 100) << '\n'; }, numbers(kLines));
                   }),
                   kLines, 100);
}

TEST(Output, CoutOnItsOwn) {
  expect_each_once(stdout_of([] {
                     std::ios::sync_with_stdio(false);
                     Pool pool(3);
                     pool.map([](int x) { std::cout << line_of(x, 100) << '\n'; }, numbers(kLines));
                   }),
                   kLines, 100);
}

TEST(Output, LongLines) {
  expect_each_once(stdout_of([] {
                     Pool pool(3);
                     pool.map([](int x) { std::puts(line_of(x, 4000).c_str()); }, numbers(kLines));
                   }),
                   kLines, 4000);
}

// A line in several parts, with others printing at the same time.
TEST(Output, InPieces) {
  expect_each_once(stdout_of([] {
                     Pool pool(3);
                     pool.with({.chunksize = 1})
                         .map(
                             [](int x) {
                               for (const char c : line_of(x, 60)) {
                                 std::putchar(c);
                                 if (c == ' ') ::sched_yield();
                               }
                               std::putchar('\n');
                             },
                             numbers(kLines));
                   }),
                   kLines, 60);
}

// Printed when the task ends, not when the worker ends.
TEST(Output, IsThereWhenTheTaskHasEnded) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), 1);
    pipe.writer.reset();
    Pool pool(1);
    pool.apply([] { std::printf("first\n"); });
    std::string got;
    char buffer[64];
    // Would wait for ever if nothing came.
    got.assign(buffer, os::read_some(pipe.reader.get(), buffer, sizeof buffer));
    return got == "first\n" ? 0 : 1;
  });
  EXPECT_EQ(exit_code_of(pid), 0);
}

TEST(Output, OfACrashedTaskBeforeItsDeathIsItsOwn) {
  const std::string text = stdout_of([] {
    Pool pool(1);
    pool.apply([] { std::printf("before\n"); });
    try {
      pool.apply([] {
        std::printf("flushed\n");
        std::fflush(stdout);
        die(Death::killed);
      });
    } catch (const WorkerDied&) {
    }
    pool.apply([] { std::printf("after\n"); });
  });
  EXPECT_EQ(text, "before\nflushed\nafter\n");
}

// What the caller has in its buffers is not printed again by the workers, nor by those that replace them.
TEST(Output, OfTheCallerIsNotDoubled) {
  const std::string text = stdout_of([] {
    std::printf("caller's first, ");
    std::cout << "second, ";
    Pool pool(2);
    std::printf("third, ");
    pool.map([](int) {}, numbers(100));
    try {
      pool.apply([] { die(Death::exit_0); });
    } catch (const WorkerDied&) {
    }
    pool.map([](int) {}, numbers(100));
    std::printf("fourth");
  });
  EXPECT_EQ(text, "caller's first, second, third, fourth");
}

TEST(Output, OfInitializerAndFinalizer) {
  const std::string text = stdout_of([] {
    Pool pool(PoolOptions{
        .processes = 2, .initializer = [] { std::printf("begin\n"); }, .finalizer = [] { std::printf("end\n"); }});
    pool.map([](int) {}, numbers(10));
  });
  const auto lines = count_lines(text);
  EXPECT_EQ(lines, (std::map<std::string, int>{{"begin", 2}, {"end", 2}})) << text;
}

TEST(Output, OfTasksThatThrow) {
  const std::string text = stdout_of([] {
    Pool pool(2);
    for (int i = 0; i < 10; ++i) {
      try {
        pool.apply([] {
          std::printf("said\n");
          throw 1;
        });
      } catch (const RemoteError&) {
      }
    }
  });
  EXPECT_EQ(count_lines(text), (std::map<std::string, int>{{"said", 10}}));
}

// The library itself prints nothing, whatever happens.
TEST(Output, NothingByTheLibrary) {
  const auto accidents = [] {
    Pool pool(2);
    for (const Death how : kDeaths) {
      try {
        pool.apply([how] { die(how); });
      } catch (const WorkerDied&) {
      }
    }
    pool.apply_async([] { throw 1; });
    pool.terminate();
  };
  EXPECT_EQ(stdout_of(accidents), "");
  EXPECT_EQ(proc::testing::stderr_of(accidents), "");
}

}  // namespace
}  // namespace brood::pool_tests
