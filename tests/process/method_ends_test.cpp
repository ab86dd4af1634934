// How processes end, and who gets to know, under every start method.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Ends = EveryMethod;
BROOD_EVERY_METHOD(Ends);

void die_by(int signal) {
  no_core();
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

TEST_P(Ends, EveryExitCode) {
  EXPECT_EQ(run([] {}), 0);
  EXPECT_EQ(run([] { return 5; }), 0);
  EXPECT_EQ(run([] { std::exit(3); }), 3);
  EXPECT_EQ(run([] { std::exit(0); }), 0);
  EXPECT_EQ(run([] { std::exit(256 + 7); }), 7);
  EXPECT_EQ(run([] { ::_exit(4); }), 4);
  EXPECT_EQ(run([] { ::_exit(255); }), 255);
  EXPECT_EQ(run([] { std::quick_exit(5); }), 5);
  EXPECT_EQ(run([] { ::pthread_exit(nullptr); }), 0);
  EXPECT_EQ(run([] { std::thread([] { std::exit(6); }).join(); }), 6);
  for (const int signal : {SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGFPE, SIGINT, SIGHUP, SIGUSR1}) {
    EXPECT_EQ(run(die_by, signal), -signal);
  }
  EXPECT_EQ(run([] {
              no_core();
              std::signal(SIGABRT, SIG_DFL);
              std::abort();
            }),
            -SIGABRT);
  EXPECT_TRUE(nothing_left());
}

void throw_one() { throw 1; }

TEST_P(Ends, ExceptionOutOfNoexcept) {
  written_to(2, [] {
    if (run([]() noexcept {
          no_core();
          throw_one();
        }) != -SIGABRT) {
      ::_exit(9);
    }
  });
}

TEST_P(Ends, ExceptionOnStderr) {
  const std::string text = written_to(2, [] {
    ProcessOptions named = options();
    named.name = "thrower";
    Process process(named, [] { throw std::out_of_range("no such thing"); });
    process.start();
    process.join();
    if (process.exitcode() != 1) ::_exit(9);
  });
  EXPECT_EQ(text.rfind("brood: thrower (pid ", 0), 0U) << text;
  EXPECT_NE(text.find("): ended by std::out_of_range: no such thing\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

// Whole lines, whoever else writes.
TEST_P(Ends, ManyExceptionsAtOnce) {
  constexpr std::size_t kProcesses = 12;
  const std::string text = written_to(2, [] {
    std::vector<Process> processes;
    for (std::size_t i = 0; i < kProcesses; ++i) {
      processes.emplace_back(options(), [] { throw std::runtime_error(std::string(1000, 'x')); });
    }
    for (Process& process : processes) process.start();
  });
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_EQ(text.compare(at, 7, "brood: "), 0);
    EXPECT_EQ(text.substr(end - 1000, 1000), std::string(1000, 'x'));
    at = end + 1;
  }
  EXPECT_EQ(lines, kProcesses);
}

TEST_P(Ends, ExceptionWithoutAReaderOfStderr) {
  EXPECT_EQ(run_in_child([] {
              Pipe pipe;
              pipe.reader.reset();
              ::dup2(pipe.writer.get(), 2);
              if (run([] { throw 1; }) != 1) return 1;
              ::close(2);
              return run([] { throw 1; }) == 1 ? 0 : 2;
            }),
            0);
}

// --- when somebody else reaps ---------------------------------------------------------------------------------------

// Every end, and whether the process says its code itself. What it does not is known as far as the kernel or the fork
// server tells.
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

// The number of the first end whose code is wrong. Runs in a child, whose stderr it closes.
int check_ends(StartMethod method, bool kernel_tells) {
  const os::Fd null = os::open_file("/dev/null", O_WRONLY);
  ::dup2(null.get(), 2);
  int number = 0;
  for (const End& end : kEnds) {
    ++number;
    Process process(ProcessOptions{.start_method = method}, end.function);
    process.start();
    const Fault fault(os::Call::ioctl, ENOTTY, 1, kernel_tells ? 0 : 1000);
    process.join();
    const bool told = kernel_tells || end.recorded || method == StartMethod::forkserver;
    if (process.exitcode() != (told ? end.code : kUnknownExitcode)) return number;
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

TEST_P(Ends, SigchldIgnored) {
  for (const bool kernel_tells : {false, kernel_keeps_exit_codes()}) {
    EXPECT_EQ(run_in_child([&] {
                std::signal(SIGCHLD, SIG_IGN);
                return check_ends(GetParam(), kernel_tells);
              }),
              0);
  }
}

TEST_P(Ends, ProgramReapsEverythingInAHandler) {
  const bool kernel_tells = kernel_keeps_exit_codes();
  EXPECT_EQ(run_in_child([&] {
              struct sigaction action {};
              action.sa_handler = [](int) {
                const int saved = errno;
                while (::waitpid(-1, nullptr, WNOHANG) > 0) {
                }
                errno = saved;
              };
              ::sigaction(SIGCHLD, &action, nullptr);
              return check_ends(GetParam(), kernel_tells);
            }),
            0);
}

// As many programs do: one thread that waits for whatever ends.
TEST_P(Ends, ProgramReapsEverythingInAThread) {
  EXPECT_EQ(run_in_child([] {
              static std::atomic<bool> stop{false};  // the thread may outlive this function
              std::thread reaper([] {
                while (!stop) {
                  if (::waitpid(-1, nullptr, 0) < 0) ::usleep(100);
                }
              });
              int code = 0;
              for (std::size_t i = 0; i < scaled(20) && code == 0; ++i) {
                for (const int expected : {0, 3}) {
                  const int got = run([](int status) { std::exit(status); }, expected);
                  if (got != expected) code = 1;
                }
              }
              stop = true;
              // It may wait for the fork server, which ends with this process.
              reaper.detach();
              return code;
            }),
            0);
}

TEST_P(Ends, HandlerOfTheProgramIsLeftAlone) {
  static volatile std::sig_atomic_t seen = 0;
  EXPECT_EQ(run_in_child([] {
              std::signal(SIGCHLD, [](int) { seen = seen + 1; });
              struct sigaction before = {}, after = {};
              ::sigaction(SIGCHLD, nullptr, &before);
              if (run([] {}) != 0) return 1;
              ::sigaction(SIGCHLD, nullptr, &after);
              if (before.sa_handler != after.sa_handler) return 2;
              // A child of the fork server is no child of ours.
              return GetParam() == StartMethod::forkserver || seen == 1 ? 0 : 3;
            }),
            0);
}

// --- output at the end ----------------------------------------------------------------------------------------------

TEST_P(Ends, StdioIsNeitherLostNorDoubled) {
  const std::string text = written_to(1, [] {
    std::printf("before ");
    std::cout << "cout ";
    run([] { std::printf("child "); });
    run([] {
      std::cout << "stream ";
      std::exit(0);
    });
    run([] {
      std::printf("lost");
      ::_exit(0);  // as in any program
    });
    std::printf("after");
  });
  EXPECT_EQ(text, "before cout child stream after");
}

TEST_P(Ends, StreamsOfTheirOwn) {
  const std::string text = written_to(1, [] {
    std::ios::sync_with_stdio(false);
    std::cout << "before ";
    run([] {
      std::ios::sync_with_stdio(false);
      std::cout << "child ";
    });
    std::cout << "after" << std::flush;
  });
  EXPECT_EQ(text, "before child after");
}

struct Static {
  ~Static() {
    if (armed) os::write_all(1, "static ", 7);
  }
  bool armed = false;
};

// A spawned process is a program of its own, which ends as programs do. The others are copies: what stands in static
// objects and atexit belongs to the one they were copied from.
TEST_P(Ends, StaticObjectsAndAtexit) {
  const auto child = [](bool exits) {
    static Static object;
    object.armed = true;
    std::atexit([] { os::write_all(1, "atexit ", 7); });
    if (exits) std::exit(0);
  };
  const std::string ended = written_to(1, [&] { run(child, false); });
  EXPECT_EQ(ended, GetParam() == StartMethod::spawn ? "atexit static " : "");
  EXPECT_EQ(written_to(1, [&] { run(child, true); }), "atexit static ");
}

// What runs there still has a say in the exit code.
TEST_P(Ends, AtexitThatLeaves) {
  EXPECT_EQ(run([] {
              std::atexit([] { ::_exit(42); });
              std::exit(0);
            }),
            42);
  if (GetParam() != StartMethod::spawn) return;
  EXPECT_EQ(run([] { std::atexit([] { ::_exit(42); }); }), 42);
  EXPECT_EQ(run([] { std::atexit([] { die_by(SIGTERM); }); }), -SIGTERM);
}

}  // namespace
}  // namespace brood
