// Handles and starts from many threads.
#include <brood/process.hpp>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include "process/support.hpp"
#include "support/scale.hpp"

namespace brood {
namespace {

using namespace proc::testing;

TEST(Threads, JoinOneProcessFromAll) {
  for (std::size_t round = 0; round < testing::scaled(30); ++round) {
    Pipe pipe;
    Process process([&] { (void)pipe.get_value<char>(); });
    process.start();
    std::atomic<int> joined{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        process.join();
        EXPECT_EQ(process.exitcode(), 0);
        ++joined;
      });
    }
    threads.emplace_back([&] {
      while (process.is_alive()) std::this_thread::yield();
      EXPECT_EQ(process.exitcode(), 0);
    });
    threads.emplace_back([&] {
      while (!process.join_for(std::chrono::microseconds(100))) {
      }
    });
    threads.emplace_back([&] {
      while (!active_children().empty()) std::this_thread::yield();
    });
    EXPECT_TRUE(process.is_alive());
    pipe.put("x");
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(joined, 4);
  }
}

TEST(Threads, CloseWhileOthersJoin) {
  keep_records_open();
  for (std::size_t round = 0; round < testing::scaled(30); ++round) {
    const int before = count_fds();
    {
      Process process([] { ::usleep(1000); });
      process.start();
      std::vector<std::thread> threads;
      for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
          try {
            process.join();
          } catch (const ProcessError&) {  // it was closed before this thread came
          }
        });
      }
      while (process.is_alive()) std::this_thread::yield();
      process.close();
      for (std::thread& thread : threads) thread.join();
    }
    EXPECT_EQ(count_fds(), before);
  }
}

TEST(Threads, OneStartWins) {
  for (std::size_t round = 0; round < testing::scaled(20); ++round) {
    Process process([] {});
    std::atomic<int> started{0}, refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        try {
          process.start();
          ++started;
        } catch (const ProcessError&) {
          ++refused;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(started, 1);
    EXPECT_EQ(refused, 3);
    process.join();
  }
}

// Threads hold the locks of malloc, of stdio, of the streams and of the program most of the time; no start waits for
// the last one, no child for any of them.
TEST(Threads, StartWhileOthersHoldLocks) {
  std::atomic<bool> stop{false};
  std::mutex user;
  std::FILE* const null = std::fopen("/dev/null", "w");
  std::vector<std::thread> holders;
  holders.emplace_back([&] {
    while (!stop) ::free(::malloc(100));
  });
  holders.emplace_back([&] {
    while (!stop) std::fprintf(null, "some text %d\n", 7);
  });
  holders.emplace_back([&] {
    while (!stop) {
      ::flockfile(stdout);
      ::usleep(100);
      ::funlockfile(stdout);
    }
  });
  holders.emplace_back([&] {
    while (!stop) {
      const std::lock_guard lock(user);
      ::usleep(100);
    }
  });
  std::vector<std::thread> starters;
  for (int i = 0; i < 4; ++i) {
    starters.emplace_back([&] {
      for (std::size_t round = 0; round < testing::scaled(50); ++round) {
        Process process([&] {
          std::vector<int> memory(1000, 1);
          std::fprintf(null, "%d\n", memory[5]);
          std::cout << std::flush;
          std::printf("%s", "");
          if (std::fflush(stdout) != 0) ::_exit(1);
        });
        process.start();
        process.join();
        EXPECT_EQ(process.exitcode(), 0);
      }
    });
  }
  for (std::thread& starter : starters) starter.join();
  stop = true;
  for (std::thread& holder : holders) holder.join();
  std::fclose(null);
  EXPECT_FALSE(has_children());
}

// A process may be joined, and destroyed, by another thread than the one that started it and has ended since.
TEST(Threads, StartHereJoinThere) {
  Process process([] { ::usleep(5000); });
  std::thread([&] { process.start(); }).join();
  EXPECT_TRUE(process.is_alive() || process.exitcode() == 0);
  std::thread([moved = std::move(process)]() mutable { moved.join(); }).join();
  EXPECT_FALSE(has_children());
}

// The thread-local state of the caller is what the child has.
TEST(Threads, ChildIsTheCallersThread) {
  static thread_local int mine = 0;
  std::thread([] {
    mine = 42;
    int local = 1;
    EXPECT_EQ(exit_code_of_process([&] {
                std::thread([] {}).join();
                ::_exit(mine + local);
              }),
              43);
  }).join();
}

}  // namespace
}  // namespace brood
