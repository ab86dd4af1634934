// Starts from many threads at once, whatever locks the program's other threads hold, under every start method.
#include <cstdio>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using ManyThreads = EveryMethod;
BROOD_EVERY_METHOD(ManyThreads);

constexpr std::size_t kThreads = 4;

template <class F>
void in_threads(F&& f) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back(f, i);
  for (std::thread& thread : threads) thread.join();
}

// Each gets its own process, exit code and argument.
TEST_P(ManyThreads, StartAtOnce) {
  const Shared<Word> sum;
  const std::size_t rounds = scaled(40);
  in_threads([&](std::size_t thread) {
    for (std::size_t round = 0; round < rounds; ++round) {
      const int code = static_cast<int>(thread * 50 + round % 50);
      EXPECT_EQ(run(
                    [sum = sum.get()](const std::string& text, int status) {
                      if (text != std::to_string(status)) ::_exit(250);
                      ++*sum;
                      // In a copy of a threaded program the LeakSanitizer takes what the other threads had for lost.
                      brood::testing::kSanitized ? ::_exit(status) : std::exit(status);
                    },
                    std::to_string(code), code),
                code);
    }
  });
  EXPECT_EQ(static_cast<std::size_t>(*sum), kThreads * rounds);
  EXPECT_TRUE(nothing_left());
}

// The first start of a program, which begins the fork server, from all threads at once.
TEST_P(ManyThreads, FirstStartOfAProgram) {
  for (std::size_t i = 0; i < scaled(10); ++i) {
    EXPECT_EQ(run_in_child([] {
                std::atomic<int> failures{0};
                in_threads([&](std::size_t thread) {
                  const int code = static_cast<int>(thread);
                  if (run([](int status) { ::_exit(status); }, code) != code) ++failures;
                });
                if (children().size() > 1) return 100;  // one server at most
                return failures.load();
              }),
              0);
  }
}

TEST_P(ManyThreads, OneStartOfAHandleWins) {
  for (std::size_t round = 0; round < scaled(10); ++round) {
    const Shared<Word> runs;
    Process process(options(), [runs = runs.get()] { ++*runs; });
    std::atomic<int> started{0}, refused{0};
    in_threads([&](std::size_t) {
      try {
        process.start();
        ++started;
      } catch (const ProcessError&) {
        ++refused;
      }
    });
    EXPECT_EQ(started, 1);
    EXPECT_EQ(static_cast<std::size_t>(refused), kThreads - 1);
    process.join();
    EXPECT_EQ(*runs, 1);
  }
}

TEST_P(ManyThreads, JoinOneProcess) {
  for (std::size_t round = 0; round < scaled(10); ++round) {
    const Shared<Word> go;
    Process process(options(), [go = go.get()] {
      await(*go);
      ::_exit(8);
    });
    process.start();
    std::thread opener([&] {
      ::usleep(500);
      *go = 1;
    });
    in_threads([&](std::size_t thread) {
      if (thread % 2 == 0) {
        process.join();
      } else {
        while (process.is_alive()) (void)active_children();
      }
      EXPECT_EQ(process.exitcode(), 8);
    });
    opener.join();
  }
}

// Threads that hold the locks of malloc, of stdio, of the environment and of the program most of the time.
class Holders {
 public:
  Holders() {
    add([] { ::free(::malloc(100)); });
    add([this] { std::fprintf(null_, "some text %d\n", 7); });
    add([] {
      ::flockfile(stdout);
      ::usleep(200);
      ::funlockfile(stdout);
    });
    add([] {
      ::flockfile(stderr);
      ::usleep(200);
      ::funlockfile(stderr);
    });
    add([this] {
      const std::lock_guard lock(user_);
      ::usleep(200);
    });
  }
  ~Holders() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    std::fclose(null_);
  }
  std::mutex& user() { return user_; }

 private:
  template <class F>
  void add(F f) {
    threads_.emplace_back([this, f] {
      while (!stop_) f();
    });
  }

  std::atomic<bool> stop_{false};
  std::mutex user_;
  std::FILE* const null_ = std::fopen("/dev/null", "w");
  std::vector<std::thread> threads_;
};

TEST_P(ManyThreads, StartWhileOthersHoldLocks) {
  Holders holders;
  in_threads([&](std::size_t) {
    for (std::size_t round = 0; round < scaled(15); ++round) {
      EXPECT_EQ(run(
                    [](const std::vector<std::string>& words) {
                      if (std::vector<int>(1000, 1)[5] != 1 || words.size() != 100) ::_exit(1);
                      std::cout << std::flush;
                      std::printf("%s", "");
                      if (std::fflush(stdout) != 0) ::_exit(2);
                    },
                    std::vector<std::string>(100, std::string(50, 'x'))),
                0);
    }
  });
  EXPECT_TRUE(nothing_left());
}

// A start while this very thread holds a lock that a serialize() of another start wants: nothing of brood's is held
// while the program's code runs.
struct Locking {
  std::mutex* mutex = nullptr;
  template <class A>
  void serialize(A& archive) {
    int nothing = 0;
    archive(nothing);
    if constexpr (A::is_saving::value) {
      const std::lock_guard lock(*mutex);
    }
  }
};

TEST_P(ManyThreads, SavingMayWaitForAnotherStart) {
  std::mutex mutex;
  mutex.lock();
  std::thread other([&] { EXPECT_EQ(run([](const Locking&) {}, Locking{&mutex}), 0); });
  EXPECT_EQ(run([] {}), 0);
  EXPECT_TRUE(active_children().size() <= 1);
  mutex.unlock();
  other.join();
}

// A fork of the program may happen at any instant of a start; its child can start processes of its own.
TEST_P(ManyThreads, ForksOfTheProgramMeanwhile) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> starters;
  for (int i = 0; i < 2; ++i) {
    starters.emplace_back([&] {
      while (!stop) EXPECT_EQ(run([] {}), 0);
    });
  }
  for (std::size_t i = 0; i < scaled(15); ++i) {
    EXPECT_EQ(run_in_child([] {
                if (!active_children().empty()) return 1;
                return run([] { ::_exit(6); }) - 6;
              }),
              0);
  }
  stop = true;
  for (std::thread& starter : starters) starter.join();
}

TEST_P(ManyThreads, StartHereJoinThere) {
  Process process(options(), [] { ::_exit(3); });
  std::thread([&] { process.start(); }).join();
  std::thread([&] {
    process.join();
    EXPECT_EQ(process.exitcode(), 3);
  }).join();
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace brood
