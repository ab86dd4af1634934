// A start that the system refuses leaves nothing behind, and may be repeated.
#include <brood/process.hpp>

#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "process/support.hpp"
#include "support/sanitizer.hpp"
#include "support/scale.hpp"

namespace brood {
namespace {

using namespace proc::testing;
using os::Call;

void expect_refused_then_started(Call call, int error, bool in_thread) {
  Pipe pipe;
  keep_records_open();
  const int before = count_fds();
  Process process(ProcessOptions{.daemon = true}, [&] { pipe.put("ran "); });
  const auto start = [&] {
    {
      const Fault fault(call, error);
      EXPECT_EQ(os::testing::error_of([&] { process.start(); }), error) << static_cast<int>(call);
    }
    EXPECT_FALSE(process.is_alive());
    EXPECT_EQ(process.pid(), 0);
    EXPECT_EQ(count_fds(), before);
    EXPECT_FALSE(has_children());
    EXPECT_TRUE(active_children().empty());
    process.start();
    process.join();
  };
  in_thread ? std::thread(start).join() : start();
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(pipe.rest(), "ran ");  // once: the refused one did not run
}

TEST(StartFault, EveryCall) {
  for (const bool in_thread : {false, true}) {
    expect_refused_then_started(Call::fork, EAGAIN, in_thread);
    expect_refused_then_started(Call::fork, ENOMEM, in_thread);
    expect_refused_then_started(Call::pidfd_open, EMFILE, in_thread);
    expect_refused_then_started(Call::pidfd_open, ENOMEM, in_thread);
  }
  expect_refused_then_started(Call::pipe, EMFILE, true);
}

TEST(StartFault, NoMemoryForTheFirstRecord) {
  EXPECT_EQ(run_in_child([] {
              Process process([] {});
              {
                const Fault fault(Call::mmap, ENOMEM);
                if (os::testing::error_of([&] { process.start(); }) != ENOMEM) return 1;
              }
              process.start();
              process.join();
              return process.exitcode() == 0 ? 0 : 2;
            }),
            0);
}

TEST(StartFault, OutOfDescriptors) {
  if (brood::testing::kAddressSanitizer) GTEST_SKIP() << "the sanitizer looks at objects through pipes of its own";
  EXPECT_EQ(run_in_child([] {
              keep_records_open();
              const rlimit limit{64, 64};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              int last = -1;
              for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) last = fd;
              Process process([] {});
              if (os::testing::error_of([&] { process.start(); }) != EMFILE) return 1;
              if (has_children()) return 2;
              ::close(last);
              process.start();
              process.join();
              return process.exitcode() == 0 ? 0 : 3;
            }),
            0);
}

// What the child cannot set up is told like an exception.
TEST(StartFault, InTheChild) {
  for (const bool in_thread : {false, true}) {
    const std::string text = stderr_of([&] {
      keep_records_open();
      Process daemon(ProcessOptions{.daemon = true}, [] { os::write_all(2, "ran", 3); });
      const auto start = [&] {
        const Fault fault(in_thread ? Call::fcntl : Call::prctl, EPERM);
        daemon.start();
        daemon.join();
        if (daemon.exitcode() != 1) ::_exit(9);
      };
      in_thread ? std::thread(start).join() : start();
    });
    EXPECT_NE(text.find("could not begin: std::system_error: "), std::string::npos) << text;
    EXPECT_EQ(text.find("ran"), std::string::npos);
  }
}

TEST(StartFault, InterruptedCalls) {
  for (const Call call : {Call::fork, Call::pidfd_open, Call::poll, Call::waitid, Call::futex}) {
    const Fault fault(call, EINTR, 1, 3);
    EXPECT_EQ(exit_code_of_process([] {}), 0);
  }
}

// Signals all the time, without SA_RESTART, in parent and child.
TEST(StartFault, UnderSignals) {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  std::atomic<bool> stop{false};
  const pthread_t target = ::pthread_self();
  std::thread shooter([&] {
    while (!stop) {
      ::pthread_kill(target, SIGUSR1);
      ::usleep(1000);
    }
  });
  for (std::size_t i = 0; i < testing::scaled(100); ++i) EXPECT_EQ(exit_code_of_process([] { ::usleep(500); }), 0);
  stop = true;
  shooter.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace brood
