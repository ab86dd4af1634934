// How a process ended, and who gets to know.
#include <brood/process.hpp>

#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

void no_core() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

TEST(ExitCode, OfEveryEnd) {
  EXPECT_EQ(exit_code_of_process([] {}), 0);
  EXPECT_EQ(exit_code_of_process([] { std::exit(3); }), 3);
  EXPECT_EQ(exit_code_of_process([] { ::_exit(4); }), 4);
  EXPECT_EQ(exit_code_of_process([] { std::quick_exit(5); }), 5);
  EXPECT_EQ(exit_code_of_process([] { std::exit(0); }), 0);
  EXPECT_EQ(exit_code_of_process([] { ::_exit(256 + 7); }), 7);
  for (const int signal : {SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGFPE}) {
    EXPECT_EQ(exit_code_of_process([&] {
                no_core();
                std::signal(signal, SIG_DFL);
                ::raise(signal);
              }),
              -signal);
  }
  EXPECT_EQ(exit_code_of_process([] {
              no_core();
              std::abort();
            }),
            -SIGABRT);
  EXPECT_EQ(exit_code_of_process([] { ::pthread_exit(nullptr); }), 0);
  EXPECT_EQ(exit_code_of_process([] { std::thread([] { std::exit(6); }).join(); }), 6);
}

TEST(ExitCode, OfAnException) {
  std::string text = stderr_of([] {
    Process process(ProcessOptions{.name = "thrower"}, [] { throw std::out_of_range("no such thing"); });
    process.start();
    process.join();
    if (process.exitcode() != 1) ::_exit(9);
  });
  EXPECT_EQ(text.rfind("brood: thrower (pid ", 0), 0U) << text;
  EXPECT_NE(text.find("): ended by std::out_of_range: no such thing\n"), std::string::npos) << text;
}

template <class F>
std::string message_of_exception(F f) {
  const std::string text = stderr_of([&] {
    if (exit_code_of_process(f) != 1) ::_exit(9);
  });
  const std::size_t begin = text.find("ended by ");
  EXPECT_NE(begin, std::string::npos) << text;
  return begin == std::string::npos ? "" : text.substr(begin + 9);
}

struct Plain {};
struct Empty : std::exception {
  const char* what() const noexcept override { return ""; }
};

TEST(ExitCode, EveryKindOfException) {
  EXPECT_EQ(message_of_exception([] { throw 7; }), "int: 7\n");
  EXPECT_EQ(message_of_exception([] { throw "text"; }), "char const*: text\n");
  EXPECT_NE(message_of_exception([] { throw std::string("text"); }).find(": text\n"), std::string::npos);
  EXPECT_NE(message_of_exception([] { throw Plain(); }).find("Plain\n"), std::string::npos);
  EXPECT_NE(message_of_exception([] { throw Empty(); }).find("Empty\n"), std::string::npos);
  EXPECT_EQ(message_of_exception([] { throw TimeoutError("late"); }), "brood::TimeoutError: late\n");
  EXPECT_NE(message_of_exception([] {
              try {
                throw std::logic_error("inner");
              } catch (...) {
                std::throw_with_nested(std::runtime_error("outer"));
              }
            }).find("std::runtime_error: outer; caused by std::logic_error: inner\n"),
            std::string::npos);
}

// One write: lines of several processes are never torn.
TEST(ExitCode, ManyExceptionsAtOnce) {
  const std::string padding(1000, 'x');
  const std::string text = stderr_of([&] {
    std::vector<Process> processes;
    for (int i = 0; i < 20; ++i) processes.emplace_back([&] { throw std::runtime_error(padding); });
    for (Process& process : processes) process.start();
  });
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at);
    EXPECT_EQ(text.compare(at, 7, "brood: "), 0);
    EXPECT_EQ(text.substr(end - padding.size(), padding.size()), padding);
    at = end + 1;
  }
  EXPECT_EQ(lines, 20U);
}

TEST(ExitCode, ExceptionWithoutAReaderOfStderr) {
  EXPECT_EQ(run_in_child([] {
              Pipe pipe;
              pipe.reader.reset();
              ::dup2(pipe.writer.get(), 2);
              if (exit_code_of_process([] { throw 1; }) != 1) return 1;
              ::close(2);
              return exit_code_of_process([] { throw 1; }) == 1 ? 0 : 2;
            }),
            0);
}

void throw_one() { throw 1; }

TEST(ExitCode, ExceptionOutOfNoexceptAborts) {
  stderr_of([] {
    if (exit_code_of_process([]() noexcept {
          no_core();
          throw_one();
        }) != -SIGABRT) {
      ::_exit(9);
    }
  });
}

TEST(ExitCode, StdioIsNeitherLostNorDoubled) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), 1);
    std::printf("before ");
    exit_code_of_process([] { std::printf("child "); });
    exit_code_of_process([] {
      std::printf("exit ");
      std::exit(0);
    });
    std::printf("after");
    std::fflush(stdout);
    return 0;
  });
  EXPECT_EQ(pipe.rest(), "before child exit after");
  exit_code_of(pid);
}

// Every end a process can have, and what is known when the kernel tells it (0) and when it does not.
struct End {
  void (*function)();
  int code;
  bool recorded;
};

const End kEnds[] = {
    {[] {}, 0, true},
    {[] { std::exit(3); }, 3, true},
    {[] { throw 1; }, 1, true},
    {[] { ::_exit(4); }, 4, false},
    {[] { ::kill(::getpid(), SIGKILL); }, -SIGKILL, false},
};

// With `reap` somebody else takes the exit codes away. Runs in a child, whose stderr it closes; returns the number of
// the first end whose code is wrong.
int check_ends(bool kernel_tells, void (*reap)(pid_t)) {
  os::Fd null = os::open_file("/dev/null", O_WRONLY);
  ::dup2(null.get(), 2);
  int number = 0;
  for (const End& end : kEnds) {
    ++number;
    Process process(end.function);
    process.start();
    reap(process.pid());
    const Fault fault(os::Call::ioctl, ENOTTY, 1, kernel_tells ? 0 : 1000);
    process.join();
    const int expected = kernel_tells || end.recorded ? end.code : kUnknownExitcode;
    if (process.exitcode() != expected) return number;
    if (process.is_alive()) return 100 + number;
  }
  return 0;
}

bool kernel_keeps_exit_codes() {
  const pid_t pid = fork_child([] { return 0; });
  const os::Fd pidfd = os::open_pidfd(pid);
  exit_code_of(pid);
  return os::try_wait(pidfd)->known;
}

void reap_here(pid_t pid) { exit_code_of(pid); }

TEST(ExitCode, SomebodyElseReaped) {
  for (const bool kernel_tells : {false, kernel_keeps_exit_codes()}) {
    EXPECT_EQ(run_in_child([&] { return check_ends(kernel_tells, reap_here); }), 0);
  }
}

TEST(ExitCode, SigchldIgnored) {
  for (const bool kernel_tells : {false, kernel_keeps_exit_codes()}) {
    EXPECT_EQ(run_in_child([&] {
                std::signal(SIGCHLD, SIG_IGN);
                return check_ends(kernel_tells, [](pid_t) {});
              }),
              0);
  }
}

TEST(ExitCode, ProgramReapsEverythingInAHandler) {
  const bool kernel_tells = kernel_keeps_exit_codes();
  EXPECT_EQ(run_in_child([&] {
              std::signal(SIGCHLD, [](int) {
                const int saved = errno;
                while (::waitpid(-1, nullptr, WNOHANG) > 0) {
                }
                errno = saved;
              });
              return check_ends(kernel_tells, [](pid_t) {});
            }),
            0);
}

TEST(ExitCode, HandlerOfTheProgramIsLeftAlone) {
  static volatile std::sig_atomic_t seen = 0;
  EXPECT_EQ(run_in_child([] {
              std::signal(SIGCHLD, [](int) { seen = seen + 1; });
              struct sigaction before = {}, after = {};
              ::sigaction(SIGCHLD, nullptr, &before);
              exit_code_of_process([] {});
              ::sigaction(SIGCHLD, nullptr, &after);
              return before.sa_handler == after.sa_handler && seen == 1 ? 0 : 1;
            }),
            0);
}

// A child that the process forked itself has inherited the exit handler, but not the record.
TEST(ExitCode, ForkOfTheProcessDoesNotWriteTheRecord) {
  Process process([] {
    fork_child([]() -> int { std::exit(77); });
    ::usleep(20000);
    ::_exit(5);
  });
  process.start();
  reap_here(process.pid());
  const Fault fault(os::Call::ioctl, ENOTTY, 1, 1000);
  process.join();
  EXPECT_EQ(process.exitcode(), kUnknownExitcode);
}

}  // namespace
}  // namespace brood
