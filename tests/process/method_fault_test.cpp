// A start by any method that the system refuses, at whichever of its calls, leaves nothing behind and may be repeated.
#include <sys/resource.h>

#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;
using os::Call;

using StartFaults = EveryMethod;
BROOD_EVERY_METHOD(StartFaults);

const char* text_of(Call call) {
  static constexpr const char* kNames[] = {"chdir",
                                           "clone",
                                           "close",
                                           "dup",
                                           "eventfd",
                                           "execve",
                                           "fcntl",
                                           "fork",
                                           "ftruncate",
                                           "futex",
                                           "ioctl",
                                           "madvise",
                                           "memfd_create",
                                           "mmap",
                                           "open",
                                           "pidfd_open",
                                           "pidfd_send_signal",
                                           "pipe",
                                           "poll",
                                           "prctl",
                                           "read",
                                           "recvmsg",
                                           "sched_getaffinity",
                                           "sendmsg",
                                           "set_credentials",
                                           "setrlimit",
                                           "sigaction",
                                           "sigmask",
                                           "signalfd",
                                           "socketpair",
                                           "waitid",
                                           "write"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Call::kCount));
  return kNames[static_cast<std::size_t>(call)];
}

struct Attempt {
  bool asked;    // the call that was to fail was made
  bool started;  // nevertheless
};

// One start whose nth `call` fails with `error`, and then, if it was refused, another.
Attempt attempt(ProcessOptions options, Call call, int error, int nth) {
  const auto describe = [&] { return std::string(text_of(call)) + " no. " + std::to_string(nth); };
  const int fds = count_fds();
  const std::size_t relatives = children().size();
  const Shared<Word> runs;
  Process process(
      std::move(options),
      [runs = runs.get()](const std::string& text) {
        ++*runs;
        ::_exit(text.size() == 40'000 ? 7 : 8);
      },
      std::string(40'000, 'x'));
  Attempt result{true, true};
  {
    const Fault fault(call, error, nth);
    try {
      process.start();
    } catch (const std::system_error&) {
      result.started = false;
    } catch (const ProcessError&) {
      result.started = false;
    }
    result.asked = fault.hits() >= nth;
  }
  if (!result.started) {
    EXPECT_EQ(process.pid(), 0) << describe();
    EXPECT_FALSE(process.is_alive()) << describe();
    EXPECT_TRUE(active_children().empty()) << describe();
    EXPECT_EQ(*runs, 0) << describe();
    // A fork server may have begun, or another in the place of one.
    EXPECT_LE(children().size(), relatives + 1) << describe();
    EXPECT_LE(count_fds(), fds + 2) << describe();
    process.start();
  }
  process.join();
  EXPECT_EQ(process.exitcode(), 7) << describe();
  EXPECT_EQ(*runs, 1) << describe();
  return result;
}

// The child of fork itself is looked at in start_fault_test.cpp.
bool is_made_by_the_child_of_fork(Call call) {
  return call == Call::prctl || call == Call::fcntl || call == Call::futex;
}

TEST_P(StartFaults, EveryCall) {
  EXPECT_EQ(run([] {}), 0);
  for (const bool daemon : {false, true}) {
    for (const bool fresh_server : {false, true}) {
      if (fresh_server && GetParam() != StartMethod::forkserver) continue;
      std::size_t refused = 0;
      for (unsigned kind = 0; kind < static_cast<unsigned>(Call::kCount); ++kind) {
        const auto call = static_cast<Call>(kind);
        if (GetParam() == StartMethod::fork && is_made_by_the_child_of_fork(call)) continue;
        for (int nth = 1; nth < 40; ++nth) {
          if (fresh_server) kill_fork_server(fork_server_pid());
          const Attempt result = attempt(options(daemon), call, ENOMEM, nth);
          refused += result.started ? 0U : 1U;
          if (!result.asked) break;
        }
      }
      EXPECT_GT(refused, 1U);
    }
  }
  // All of it together left nothing.
  if (GetParam() == StartMethod::forkserver) fork_server_pid();
  EXPECT_TRUE(nothing_left());
  const int fds = count_fds();
  EXPECT_EQ(run([] {}), 0);
  EXPECT_EQ(count_fds(), fds);
}

TEST_P(StartFaults, InterruptedCalls) {
  for (const Call call : {Call::clone, Call::fork, Call::open, Call::pidfd_open, Call::poll, Call::waitid, Call::futex,
                          Call::sendmsg, Call::recvmsg, Call::socketpair, Call::write, Call::dup}) {
    const Fault fault(call, EINTR, 1, 3);
    EXPECT_EQ(run([](const std::string&) { ::_exit(7); }, std::string(40'000, 'x')), 7) << text_of(call);
  }
}

// Signals all the time, without SA_RESTART.
TEST_P(StartFaults, UnderSignals) {
  EXPECT_EQ(run_in_child([] {
              struct sigaction action {};
              action.sa_handler = [](int) {};
              ::sigaction(SIGUSR1, &action, nullptr);
              std::atomic<bool> stop{false};
              const pthread_t target = ::pthread_self();
              std::thread shooter([&] {
                while (!stop) {
                  ::pthread_kill(target, SIGUSR1);
                  ::usleep(300);
                }
              });
              int code = 0;
              for (std::size_t i = 0; i < scaled(40) && code == 0; ++i) code = run([] { ::usleep(500); });
              stop = true;
              shooter.join();
              return code;
            }),
            0);
}

// For each number of free descriptors, from none: an error or a process that works, and never a wrong one.
TEST_P(StartFaults, FewDescriptors) {
  if (brood::testing::kAddressSanitizer) GTEST_SKIP() << "the sanitizer looks at objects through pipes of its own";
  for (const bool daemon : {false, true}) {
    EXPECT_EQ(run_in_child([&] {
                if (run([] {}) != 0) return 1;  // the fork server is there
                const rlimit limit{100, 100};
                ::setrlimit(RLIMIT_NOFILE, &limit);
                std::vector<int> fillers;
                for (int fd = ::dup(2); fd >= 0; fd = ::dup(2)) fillers.push_back(fd);
                bool started = false;
                for (int free = 0; free < 20; ++free) {
                  Process process(options(daemon), [] { ::_exit(7); });
                  try {
                    process.start();
                    started = true;
                  } catch (const std::system_error& error) {
                    if (error.code().value() != EMFILE) return 2;
                    if (started) return 3;
                  } catch (const ProcessError&) {
                    if (started) return 4;
                  }
                  if (process.pid() != 0) {
                    process.join();
                    if (process.exitcode() != 7) return 5;
                    process.close();
                  }
                  ::close(fillers.back());
                  fillers.pop_back();
                }
                return started ? 0 : 6;
              }),
              0);
  }
}

// No more processes: EAGAIN from the kernel itself, in the fork server too.
TEST_P(StartFaults, NoMoreProcesses) {
  if (::geteuid() == 0) GTEST_SKIP() << "the limit does not hold for root";
  if (kSanitized) GTEST_SKIP() << "the sanitizer's threads count too";
  EXPECT_EQ(run_in_child([] {
              if (run([] {}) != 0) return 1;
              rlimit before{};
              ::getrlimit(RLIMIT_NPROC, &before);
              const rlimit limit{1, before.rlim_max};
              ::setrlimit(RLIMIT_NPROC, &limit);
              Process process(options(), [] { ::_exit(7); });
              const int error = os::testing::error_of([&] { process.start(); });
              ::setrlimit(RLIMIT_NPROC, &before);
              // The fork server's own limit is the one it was begun with.
              if (GetParam() != StartMethod::forkserver && error != EAGAIN) return 2;
              if (error != 0) process.start();
              process.join();
              return process.exitcode() == 7 ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace brood
