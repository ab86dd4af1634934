// Daemons end with their parent, however and whenever it ends and whichever thread started them.
#include <brood/process.hpp>

#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "process/support.hpp"
#include "support/scale.hpp"

namespace brood {
namespace {

using namespace proc::testing;

// Runs `program` in a process of its own that is killed when it has said "ready". Every process of its family holds the
// writing end of a pipe, so the end of that pipe is the end of all of them.
template <class F>
void expect_no_survivor(F&& program) {
  Pipe family, ready;
  const pid_t parent = fork_child([&]() -> int {
    program(ready);
    run_for_ever();
  });
  (void)ready.get_value<char>();
  ::kill(parent, SIGKILL);
  EXPECT_EQ(exit_code_of(parent), -SIGKILL);
  EXPECT_EQ(family.rest(), "");
}

Process daemon_process() { return Process(ProcessOptions{.daemon = true}, run_for_ever); }

TEST(Daemon, OfTheMainThread) {
  expect_no_survivor([](Pipe& ready) {
    Process daemon = daemon_process();
    daemon.start();
    ready.put("x");
    run_for_ever();
  });
}

TEST(Daemon, OfAThreadThatIsGone) {
  expect_no_survivor([](Pipe& ready) {
    Process daemon = daemon_process();
    std::thread([&] { daemon.start(); }).join();
    if (daemon.join_for(20ms)) return;  // its thread's end must not have been its own
    ready.put("x");
    run_for_ever();
  });
}

TEST(Daemon, ManyOfManyThreads) {
  expect_no_survivor([](Pipe& ready) {
    std::vector<Process> daemons;
    for (int i = 0; i < 8; ++i) daemons.push_back(daemon_process());
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < daemons.size(); ++i) threads.emplace_back([&, i] { daemons[i].start(); });
    daemons[0].start();
    for (std::thread& thread : threads) thread.join();
    ready.put("x");
    run_for_ever();
  });
}

TEST(Daemon, StoppedOnes) {
  for (const bool by_main_thread : {true, false}) {
    expect_no_survivor([&](Pipe& ready) {
      Process daemon(ProcessOptions{.daemon = true}, [] { ::raise(SIGSTOP); });
      std::thread other;
      if (by_main_thread) {
        daemon.start();
      } else {
        other = std::thread([&] { daemon.start(); });
        other.join();
      }
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(daemon.pid()), &info, WSTOPPED);
      ready.put("x");
      run_for_ever();
    });
  }
}

TEST(Daemon, OfDaemons) {
  expect_no_survivor([](Pipe& ready) {
    Process daemon(ProcessOptions{.daemon = true}, [&] {
      Process inner(ProcessOptions{.daemon = true}, [&] {
        Process innermost = daemon_process();
        std::thread([&] { innermost.start(); }).join();
        ready.put("x");
        run_for_ever();
      });
      std::thread([&] { inner.start(); }).join();
      run_for_ever();
    });
    daemon.start();
    run_for_ever();
  });
}

TEST(Daemon, WhenTheParentExitsWithoutDestruction) {
  for (const bool by_main_thread : {true, false}) {
    Pipe family;
    EXPECT_EQ(run_in_child([&]() -> int {
                auto* const daemon = new Process(daemon_process());
                if (by_main_thread) {
                  daemon->start();
                } else {
                  std::thread([&] { daemon->start(); }).join();
                }
                std::exit(0);
              }),
              0);
    EXPECT_EQ(family.rest(), "");
  }
}

// A plain fork of the program that lives on must not keep the daemons alive.
TEST(Daemon, WhenAForkOfTheProgramLivesOn) {
  Pipe family, pids;
  const pid_t parent = fork_child([&]() -> int {
    Process daemon = daemon_process();
    std::thread([&] { daemon.start(); }).join();
    const pid_t bystander = fork_child([&]() -> int {
      family.writer.reset();
      pids.writer.reset();
      run_for_ever();
    });
    pids.put_value(bystander);
    run_for_ever();
  });
  const auto bystander = pids.get_value<pid_t>();
  ::kill(parent, SIGKILL);
  exit_code_of(parent);
  EXPECT_EQ(family.rest(), "");
  ::kill(bystander, SIGKILL);
}

// The parent is killed at any instant of a start: then nothing may be left waiting for its go-ahead either.
TEST(Daemon, ParentKilledInTheStartWindow) {
  std::minstd_rand random(12345);
  for (std::size_t i = 0; i < testing::scaled(60); ++i) {
    Pipe family, ready;
    const pid_t parent = fork_child([&]() -> int {
      std::vector<std::thread> threads;
      for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
          for (;;) {
            Process daemon = daemon_process();
            daemon.start();
          }
        });
      }
      ready.put("x");
      for (;;) {
        Process daemon = daemon_process();
        daemon.start();
        exit_code_of_process([] {});
      }
    });
    (void)ready.get_value<char>();
    ::usleep(static_cast<useconds_t>(random() % 3000));
    ::kill(parent, SIGKILL);
    exit_code_of(parent);
    EXPECT_EQ(family.rest(), "");
  }
}

}  // namespace
}  // namespace brood
