#include <brood/process.hpp>

#include <poll.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

int add_to_pipe(int fd, std::string text) {
  os::write_all(fd, text.data(), text.size());
  return 99;  // what f returns is not the exit code
}

TEST(Process, RunsAFunctionInAnotherProcess) {
  Pipe pipe;
  Process process(add_to_pipe, pipe.writer.get(), "hello");
  process.start();
  process.join();
  EXPECT_EQ(pipe.rest(), "hello");
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Process, ExistsOnlyAfterStart) {
  Pipe pipe;
  Process process([&] { pipe.put_value(::getpid()); });
  EXPECT_EQ(process.pid(), 0);
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), std::nullopt);
  EXPECT_FALSE(has_children());
  process.start();
  EXPECT_EQ(pipe.get_value<pid_t>(), process.pid());
  EXPECT_NE(process.pid(), ::getpid());
  process.join();
  EXPECT_FALSE(process.is_alive());
  EXPECT_FALSE(has_children());
}

TEST(Process, LifeSeenFromOutside) {
  Process process(run_for_ever);
  process.start();
  EXPECT_TRUE(process.is_alive());
  EXPECT_EQ(process.exitcode(), std::nullopt);
  EXPECT_FALSE(process.join_for(2ms));
  EXPECT_FALSE(process.join_for(-2ms));
  process.kill();
  EXPECT_TRUE(process.join_for(std::chrono::hours(1)));
  EXPECT_TRUE(process.join_for(0ms));
  process.join();
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), -SIGKILL);
  process.kill();  // nothing
  process.terminate();
  EXPECT_EQ(process.exitcode(), -SIGKILL);
}

TEST(Process, Terminate) {
  Process process(run_for_ever);
  process.start();
  process.terminate();
  process.join();
  EXPECT_EQ(process.exitcode(), -SIGTERM);
}

TEST(Process, NamesAndOptions) {
  EXPECT_EQ(exit_code_of_process([] {
              const std::string prefix = current_process().name;
              Process first([] {}), named(ProcessOptions{.name = "reader", .daemon = true}, [] {}), third([] {});
              if (first.name() != prefix + ":1" || first.daemon()) ::_exit(1);
              if (named.name() != "reader" || !named.daemon()) ::_exit(2);
              if (third.name() != prefix + ":3") ::_exit(3);
            }),
            0);
}

struct Adder {
  int sum = 0;
  void add(int fd, int x) {
    sum += x;
    os::write_all(fd, &sum, sizeof sum);
  }
};

TEST(Process, AnyCallable) {
  Pipe pipe;
  const int fd = pipe.writer.get();
  Adder adder{.sum = 1};
  const auto run = [](Process process) {
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), 0);
  };
  run(Process(&Adder::add, &adder, fd, 2));
  EXPECT_EQ(pipe.get_value<int>(), 3);
  run(Process(&Adder::add, std::ref(adder), fd, 3));
  EXPECT_EQ(pipe.get_value<int>(), 4);
  run(Process(&Adder::add, adder, fd, 4));
  EXPECT_EQ(pipe.get_value<int>(), 5);
  EXPECT_EQ(adder.sum, 1);  // the child worked on its own copy
  run(Process(std::function<void(int)>([fd](int x) { os::write_all(fd, &x, sizeof x); }), 7));
  EXPECT_EQ(pipe.get_value<int>(), 7);
  int local = 8;
  run(Process([&] { pipe.put_value(local); }));
  EXPECT_EQ(pipe.get_value<int>(), 8);
}

TEST(Process, MoveOnlyCallableAndArguments) {
  Pipe pipe;
  auto text = std::make_unique<std::string>("moved");
  Process process([&pipe, mine = std::make_unique<int>(5)](
                      std::unique_ptr<std::string> words) { pipe.put(*words + std::to_string(*mine)); },
                  std::move(text));
  process.start();
  process.join();
  EXPECT_EQ(pipe.rest(), "moved5");
}

// A connection that was moved into the process is open there only.
TEST(Process, ArgumentsLeaveTheParentAtStart) {
  Pipe pipe;
  const auto counter = std::make_shared<int>(0);
  Process process([](const std::shared_ptr<int>&, os::Fd fd) { os::write_all(fd.get(), "x", 1); }, counter,
                  std::move(pipe.writer));
  EXPECT_EQ(counter.use_count(), 2);
  process.start();
  EXPECT_EQ(counter.use_count(), 1);
  EXPECT_EQ(pipe.rest(), "x");  // ends, although `process` is still there
}

// As in a thread: what the child was given is destroyed there, whether it returned or threw.
TEST(Process, ChildDestroysItsCopy) {
  for (const bool throws : {false, true}) {
    const std::string text = stderr_of([&] {
      struct Announce {
        ~Announce() {
          if (armed) os::write_all(2, "destroyed\n", 10);
        }
        bool armed = false;
      };
      auto announce = std::make_shared<Announce>();
      Process process([announce, throws, parent = ::getpid()] {
        announce->armed = ::getpid() != parent;
        if (throws) throw 1;
      });
      process.start();
      process.join();
      // The parent's pointer holds another copy, so in the child too the object lives on; only its count went down.
      EXPECT_EQ(announce.use_count(), 1);
      Process owner([owned = std::make_unique<Announce>(), throws]() mutable {
        owned->armed = true;
        if (throws) throw 1;
      });
      owner.start();
    });
    EXPECT_NE(text.find("destroyed\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("destroyed\n"), text.rfind("destroyed\n")) << text;
  }
}

TEST(Process, SecondStartIsMisuse) {
  Process process([] {});
  process.start();
  EXPECT_NE(misuse_of([&] { process.start(); }).find("started twice"), std::string::npos);
  process.join();
  EXPECT_NE(misuse_of([&] { process.start(); }).find("started twice"), std::string::npos);
}

TEST(Process, MisuseBeforeStart) {
  Process process([] {});
  for (const auto& use :
       {std::function<void()>([&] { process.join(); }), std::function<void()>([&] { process.kill(); }),
        std::function<void()>([&] { process.terminate(); }), std::function<void()>([&] { process.join_for(1ms); }),
        std::function<void()>([&] { (void)process.sentinel(); })}) {
    EXPECT_NE(misuse_of(use).find("not started"), std::string::npos);
  }
  process.start();
}

TEST(Process, NothingToRun) {
  Process process;
  EXPECT_NE(misuse_of([&] { process.start(); }).find("nothing to run"), std::string::npos);
  EXPECT_FALSE(has_children());
}

TEST(Process, Sentinel) {
  Pipe pipe;
  Process process([&] { (void)pipe.get_value<char>(); });
  process.start();
  EXPECT_TRUE(os::testing::is_close_on_exec(process.sentinel()));
  EXPECT_FALSE(os::wait_readable(process.sentinel(), os::Deadline::after(2ms)));
  pipe.put("x");
  EXPECT_TRUE(os::wait_readable(process.sentinel(), os::Deadline::never()));
  process.join();
  EXPECT_TRUE(os::wait_readable(process.sentinel(), os::Deadline::at(0)));
}

TEST(Process, Close) {
  keep_records_open();
  const int before = count_fds();
  Process process([] {});
  process.start();
  process.join();
  process.close();
  process.close();
  EXPECT_EQ(count_fds(), before);
  EXPECT_FALSE(process.name().empty());
  EXPECT_FALSE(process.daemon());
  for (const auto& use :
       {std::function<void()>([&] { process.join(); }), std::function<void()>([&] { process.kill(); }),
        std::function<void()>([&] { process.start(); }), std::function<void()>([&] { (void)process.is_alive(); }),
        std::function<void()>([&] { (void)process.exitcode(); }), std::function<void()>([&] { (void)process.pid(); }),
        std::function<void()>([&] { (void)process.sentinel(); })}) {
    EXPECT_NE(misuse_of(use).find("closed"), std::string::npos);
  }
}

TEST(Process, CloseWhileItRuns) {
  Process process(run_for_ever);
  process.start();
  EXPECT_NE(misuse_of([&] { process.close(); }).find("while it runs"), std::string::npos);
  process.kill();
  EXPECT_TRUE(eventually([&] { return !process.is_alive(); }));
  process.close();
}

TEST(Process, CloseBeforeStart) {
  Process process([] {});
  process.close();
  EXPECT_NE(misuse_of([&] { process.start(); }).find("closed"), std::string::npos);
}

TEST(Process, DestructionJoins) {
  Pipe pipe;
  {
    Process process([&] {
      ::usleep(20000);
      pipe.put("done");
    });
    process.start();
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(pipe.rest(), "done");
  {
    const Process never_started([] {});
  }
}

TEST(Process, Moves) {
  Pipe pipe;
  Process a([&] { (void)pipe.get_value<char>(); });
  const std::string name = a.name();
  Process b = std::move(a);
  EXPECT_EQ(b.name(), name);
  EXPECT_NE(misuse_of([&] { a.start(); }).find("moved from"), std::string::npos);  // NOLINT(bugprone-use-after-move)
  EXPECT_NE(misuse_of([&] { (void)a.name(); }).find("moved from"), std::string::npos);
  b.start();
  const pid_t pid = b.pid();
  Process c = std::move(b);
  EXPECT_EQ(c.pid(), pid);
  EXPECT_TRUE(c.is_alive());
  EXPECT_EQ(active_children().size(), 1U);
  pipe.put("x");
  c.join();
  EXPECT_EQ(c.exitcode(), 0);
}

TEST(Process, AssignmentEndsWhatWasThere) {
  Pipe pipe;
  Process a([&] { pipe.put("first "); });
  a.start();
  Process b([&] { pipe.put("second"); });
  b.start();
  const pid_t pid = b.pid();
  a = std::move(b);
  EXPECT_EQ(a.pid(), pid);
  Process& same = a;
  a = std::move(same);
  EXPECT_EQ(a.pid(), pid);
  a.join();
  EXPECT_FALSE(has_children());
  const std::string text = pipe.rest();
  EXPECT_TRUE(text == "first second" || text == "secondfirst ") << text;
}

TEST(Process, DaemonIsTerminatedByDestruction) {
  pid_t pid = 0;
  {
    Process daemon(ProcessOptions{.daemon = true}, run_for_ever);
    daemon.start();
    pid = daemon.pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_FALSE(has_children());
}

TEST(Process, DaemonThatIgnoresSigtermIsKilled) {
  Pipe pipe;
  {
    Process daemon(ProcessOptions{.daemon = true}, [&] {
      std::signal(SIGTERM, SIG_IGN);
      pipe.put("x");
      run_for_ever();
    });
    daemon.start();
    (void)pipe.get_value<char>();
  }
  EXPECT_FALSE(has_children());
}

TEST(Process, StoppedDaemonIsKilled) {
  {
    Process daemon(ProcessOptions{.daemon = true}, [] { ::raise(SIGSTOP); });
    daemon.start();
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(daemon.pid()), &info, WSTOPPED), 0);
  }
  EXPECT_FALSE(has_children());
}

TEST(Process, DestructionWhileUnwinding) {
  try {
    Process daemon(ProcessOptions{.daemon = true}, run_for_ever);
    daemon.start();
    throw std::runtime_error("x");
  } catch (const std::runtime_error&) {
  }
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace brood
