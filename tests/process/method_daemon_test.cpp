// Daemons end with their parent under every start method, however and whenever it ends.
#include <random>
#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Daemons = EveryMethod;
BROOD_EVERY_METHOD(Daemons);

// Runs `program` in a process of its own, which is killed when it has set `ready`. Every process of its family has the
// writing end of a pipe as its standard output, so the end of that pipe is the end of all of them. Those that are not
// daemons must end by themselves.
template <class F>
void expect_no_survivor(F&& program) {
  const Shared<Word> ready;
  Pipe family;
  const pid_t parent = fork_child([&]() -> int {
    ::dup2(family.writer.get(), 1);
    family = {};
    program(ready.get());
    run_for_ever();
  });
  family.writer.reset();
  await(*ready);
  ::kill(parent, SIGKILL);
  EXPECT_EQ(exit_code_of(parent), -SIGKILL);
  EXPECT_EQ(family.rest(), "");
}

// Says so when it runs.
void stay(Word* ready) {
  ++*ready;
  run_for_ever();
}

Process daemon_of(StartMethod method, Word* ready) {
  return Process(ProcessOptions{.daemon = true, .start_method = method}, [ready] { stay(ready); });
}

TEST_P(Daemons, OfTheMainThread) {
  expect_no_survivor([](Word* ready) {
    Process daemon = daemon_of(GetParam(), ready);
    daemon.start();
    run_for_ever();
  });
}

TEST_P(Daemons, OfAThread) {
  expect_no_survivor([](Word* ready) {
    std::thread([&] {
      Process daemon = daemon_of(GetParam(), ready);
      daemon.start();
      run_for_ever();
    }).join();
  });
}

// The end of the thread that started it is not the end of the parent.
TEST_P(Daemons, OfAThreadThatIsGone) {
  const Shared<Word> running;
  expect_no_survivor([&](Word* ready) {
    Process daemon = daemon_of(GetParam(), running.get());
    std::thread([&] { daemon.start(); }).join();
    await(*running);
    if (daemon.join_for(20ms)) ::_exit(1);
    *ready = 1;
    run_for_ever();
  });
}

TEST_P(Daemons, Stopped) {
  for (const bool by_main_thread : {true, false}) {
    expect_no_survivor([&](Word* ready) {
      Process daemon(options(true), [] { ::raise(SIGSTOP); });
      by_main_thread ? daemon.start() : std::thread([&] { daemon.start(); }).join();
      if (eventually([&] { return state_of(daemon.pid()) == 'T'; })) *ready = 1;
      run_for_ever();
    });
  }
}

TEST_P(Daemons, OfDaemons) {
  for (const StartMethod inner : kEveryMethod) {
    expect_no_survivor([&](Word* ready) {
      Process daemon(options(true), [ready, inner] {
        Process second = daemon_of(inner, ready);
        std::thread([&] { second.start(); }).join();
        run_for_ever();
      });
      daemon.start();
      run_for_ever();
    });
  }
}

TEST_P(Daemons, EndWhenTheParentExits) {
  for (const bool by_main_thread : {true, false}) {
    const std::string text = written_to(1, [&] {
      auto* const daemon = new Process(options(true), run_for_ever);
      by_main_thread ? daemon->start() : std::thread([&] { daemon->start(); }).join();
      ::_exit(0);
    });
    EXPECT_EQ(text, "");
  }
}

// A plain fork of the program that lives on must not keep them alive.
TEST_P(Daemons, WhenAForkOfTheProgramLivesOn) {
  const Shared<Word> running, bystander;
  expect_no_survivor([&](Word* ready) {
    Process daemon = daemon_of(GetParam(), running.get());
    std::thread([&] { daemon.start(); }).join();
    await(*running);
    *bystander = fork_child([]() -> int {
      ::close(1);
      run_for_ever();
    });
    *ready = 1;
    run_for_ever();
  });
  ASSERT_GT(*bystander, 1);
  ::kill(*bystander, SIGKILL);
}

// One that is stuck where its arguments are loaded: the start window.
struct Stuck {
  std::uintptr_t ready = 0;
  template <class A>
  void serialize(A& archive) {
    archive(ready);
    if constexpr (A::is_loading::value) {
      std::signal(SIGTERM, SIG_IGN);
      stay(reinterpret_cast<Word*>(ready));
    }
  }
};

TEST_P(Daemons, StuckWhereTheyAreLoaded) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  for (const bool by_main_thread : {true, false}) {
    expect_no_survivor([&](Word* ready) {
      const auto start = [&] {
        Process daemon(
            options(true), [](const Stuck&) {}, Stuck{reinterpret_cast<std::uintptr_t>(ready)});
        daemon.start();
      };
      by_main_thread ? start() : std::thread(start).join();
    });
  }
}

// The parent is killed at any instant of a start, the first one of a fork server included.
TEST_P(Daemons, ParentKilledInTheStartWindow) {
  std::minstd_rand random(4711);
  const useconds_t window = GetParam() == StartMethod::fork ? 3000 : 12000;
  for (std::size_t i = 0; i < scaled(40); ++i) {
    const useconds_t delay = static_cast<useconds_t>(random()) % window;
    expect_no_survivor([&](Word* ready) {
      const auto start_for_ever = [&] {
        for (;;) {
          Process daemon(options(true), run_for_ever);
          daemon.start();
          Process short_one(options(true), [] {});
          short_one.start();
        }
      };
      std::thread other(start_for_ever);
      std::thread killer([&] {
        ::usleep(delay);
        *ready = 1;
      });
      start_for_ever();
    });
  }
}

// Processes that are no daemons live on; they have not begun, or they do their work to the end.
TEST_P(Daemons, OthersOutliveTheParent) {
  const Shared<Word> done;
  expect_no_survivor([&](Word* ready) {
    Process process(options(), [ready, done = done.get()] {
      *ready = 1;
      if (!eventually([&] { return ::kill(parent_process()->pid, 0) != 0 || is_gone(parent_process()->pid); })) return;
      *done = 1;
    });
    process.start();
    run_for_ever();
  });
  EXPECT_EQ(*done, 1);
}

}  // namespace
}  // namespace brood
