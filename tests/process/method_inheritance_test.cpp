// What a process has of the one that started it: descriptors, environment, working directory, streams, signals.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "os/program.hpp"
#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Inheritance = EveryMethod;
BROOD_EVERY_METHOD(Inheritance);

// "0 1 2 " and what else is open.
std::string open_fds() {
  std::vector<int> fds;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != ::dirfd(folder)) fds.push_back(fd);
  }
  ::closedir(folder);
  std::sort(fds.begin(), fds.end());
  std::string text;
  for (const int fd : fds) text += std::to_string(fd) + " ";
  return text;
}

// Whatever the parent has open, and however it opened it.
TEST_P(Inheritance, StandardDescriptorsOnly) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  std::vector<os::Fd> many;
  for (int i = 0; i < 50; ++i) {
    many.emplace_back(::open("/dev/null", O_RDONLY | (i % 2 == 0 ? O_CLOEXEC : 0)));
  }
  many.emplace_back(::fcntl(1, F_DUPFD, 700));
  const Shared<Note> note;
  const auto say = [note = note.get()] { note->write(open_fds()); };
  EXPECT_EQ(run(say), 0);
  EXPECT_EQ(note->read(), "0 1 2 ");

  // The same from a child, from a thread, and with a letter of each kind.
  note->ready = 0;
  EXPECT_EQ(run([](const std::string&, std::uintptr_t place) { reinterpret_cast<Note*>(place)->write(open_fds()); },
                std::string(100'000, 'x'), reinterpret_cast<std::uintptr_t>(note.get())),
            0);
  EXPECT_EQ(note->read(), "0 1 2 ");
  note->ready = 0;
  std::thread([&] { EXPECT_EQ(run(say), 0); }).join();
  EXPECT_EQ(note->read(), "0 1 2 ");
}

// Other processes of the parent, and those that are just starting, leave no trace.
TEST_P(Inheritance, NothingOfSiblings) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  const Shared<Word> wrong;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < scaled(15); ++i) {
        Process process(options(), [wrong = wrong.get()] {
          if (open_fds() != "0 1 2 ") ++*wrong;
        });
        process.start();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*wrong, 0);
}

// In a program with closed standard streams brood's own descriptors get these numbers.
TEST_P(Inheritance, ClosedStandardStreams) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  const Shared<Note> note;
  const auto say = [note = note.get()] { note->write(open_fds()); };
  EXPECT_EQ(run_in_child([&] {
              ::close(0);
              ::close(1);
              if (run(say) != 0) return 1;
              return note->read() == "2 " ? 0 : 2;
            }),
            0)
      << note->text;
  note->ready = 0;
  // The other way round: the program opened a close-on-exec file there.
  EXPECT_EQ(run_in_child([&] {
              ::close(0);
              const os::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
              if (file.get() != 0) return 1;
              if (run(say) != 0) return 2;
              return note->read() == "1 2 " ? 0 : 3;
            }),
            0)
      << note->text;
}

TEST_P(Inheritance, EnvironmentOfTheMoment) {
  EXPECT_EQ(run_in_child([] {
              if (run([] {}) != 0) return 1;  // a fork server has begun
              ::setenv("BROOD_TEST_NEW", "with = signs\nand lines", 1);
              ::setenv("BROOD_TEST_EMPTY", "", 1);
              ::unsetenv("HOME");
              return run([] {
                const char* const value = std::getenv("BROOD_TEST_NEW");
                const char* const empty = std::getenv("BROOD_TEST_EMPTY");
                if (value == nullptr || std::string(value) != "with = signs\nand lines") ::_exit(2);
                if (empty == nullptr || *empty != '\0') ::_exit(3);
                if (std::getenv("HOME") != nullptr) ::_exit(4);
                for (const std::string& entry : os::environment()) {
                  if (entry.rfind("BROOD_BEGUN", 0) == 0) ::_exit(5);  // nothing of brood's own
                }
                // It can be changed, too.
                ::setenv("BROOD_TEST_NEW", "changed", 1);
                ::unsetenv("BROOD_TEST_EMPTY");
                ::setenv("BROOD_TEST_MORE", "more", 1);
                if (std::string(std::getenv("BROOD_TEST_NEW")) != "changed") ::_exit(6);
                if (std::getenv("BROOD_TEST_EMPTY") != nullptr) ::_exit(7);
                if (::system("test \"$BROOD_TEST_NEW$BROOD_TEST_MORE\" = changedmore") != 0) ::_exit(8);
              });
            }),
            0);
}

TEST_P(Inheritance, EmptyEnvironment) {
  EXPECT_EQ(run_in_child([] {
              if (run([] {}) != 0) return 1;
              if (GetParam() == StartMethod::spawn) return 0;  // the tests themselves need a variable there
              ::clearenv();
              return run([] { ::_exit(os::environment().empty() ? 0 : 2); });
            }),
            0);
}

TEST_P(Inheritance, WorkingDirectoryOfTheMoment) {
  const std::string folder = ::testing::TempDir() + "brood-cwd-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  const std::string real = std::filesystem::canonical(folder);
  const Shared<Note> note;
  const auto say = [note = note.get()] { note->write(std::filesystem::current_path()); };
  EXPECT_EQ(run_in_child([&] {
              if (run([] {}) != 0) return 1;
              if (::chdir(real.c_str()) != 0) return 2;
              return run(say);
            }),
            0);
  EXPECT_EQ(note->read(), real);
  // One that is gone is no obstacle, except that these tests, as programs, cannot begin there.
  if (GetParam() != StartMethod::spawn) {
    EXPECT_EQ(run_in_child([&] {
                if (run([] {}) != 0) return 1;
                if (::chdir(real.c_str()) != 0 || ::rmdir(real.c_str()) != 0) return 2;
                return run([] { ::_exit(5); });
              }),
              5);
  }
  std::filesystem::remove(folder);
}

// Redirected with dup2 before the start, after a fork server has begun.
TEST_P(Inheritance, StandardStreamsOfTheMoment) {
  const auto child = [] {
    char word[6] = {};
    if (std::scanf("%5s", word) != 1) ::_exit(1);
    std::printf("out %s", word);
    std::fprintf(stderr, "err %s", word);
  };
  std::string out;
  const std::string err = written_to(2, [&] {
    if (run([] {}) != 0) ::_exit(1);
    const std::string text = written_to(1, [&] {
      Pipe in;
      in.put("input ");
      ::dup2(in.reader.get(), 0);
      if (run(child) != 0) ::_exit(2);
    });
    if (text != "out input") ::_exit(3);
  });
  EXPECT_EQ(err, "err input");
}

// --- signals --------------------------------------------------------------------------------------------------------

// Bits: 1 something is blocked, 2 a handler is set, 4 SIGPIPE ignored, 8 SIGHUP ignored, 16 SIGUSR2 ignored.
int signal_state() {
  sigset_t mask;
  ::sigprocmask(SIG_BLOCK, nullptr, &mask);
  int state = 0;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (::sigismember(&mask, signal) == 1) state |= 1;
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0) continue;
    if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) state |= 2;
  }
  const auto ignored = [](int signal) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler == SIG_IGN;
  };
  return state | (ignored(SIGPIPE) ? 4 : 0) | (ignored(SIGHUP) ? 8 : 0) | (ignored(SIGUSR2) ? 16 : 0);
}

TEST_P(Inheritance, DefaultSignals) {
  for (const bool server_first : {false, true}) {
    EXPECT_EQ(run_in_child([&] {
                if (server_first) run([] {});
                std::signal(SIGPIPE, SIG_IGN);
                std::signal(SIGUSR1, [](int) {});
                std::signal(SIGCHLD, [](int) {});
                std::signal(SIGRTMIN + 3, [](int) {});
                sigset_t all;
                ::sigfillset(&all);
                ::sigprocmask(SIG_SETMASK, &all, nullptr);
                // A sanitizer has handlers of its own in every program that begins.
                const bool fresh = GetParam() != StartMethod::fork;
                const int counted = fresh && brood::testing::kSanitized ? ~2 : ~0;
                return run([counted] { ::_exit(100 + (signal_state() & counted)); });
              }),
              GetParam() == StartMethod::fork ? 107 : 100);
  }
}

// nohup and the like: what was ignored when the program began stays ignored.
TEST_P(Inheritance, SignalsIgnoredFromTheBeginning) {
  // A spawned process is a program that begins with SIGHUP ignored once its parent's has.
  EXPECT_EQ(run_in_child([] {
              std::signal(SIGHUP, SIG_IGN);
              char name[] = "program";
              char* arguments[] = {name, nullptr};
              init(1, arguments);  // as if the program began here
              std::signal(SIGUSR2, SIG_IGN);
              std::signal(SIGUSR1, SIG_DFL);
              return run([] {
                const int state = signal_state() & ~2;
                Process inner(ProcessOptions{.start_method = StartMethod::spawn},
                              [] { ::_exit(100 + (signal_state() & ~2)); });
                inner.start();
                inner.join();
                ::_exit(inner.exitcode() == 100 + (state & ~16) ? 100 + state : 1);
              });
            }),
            GetParam() == StartMethod::fork ? 124 : 108);
}

// A signal that arrives at the parent during starts runs its handler there and nowhere else.
TEST_P(Inheritance, HandlersRunInTheParentOnly) {
  static pid_t parent = 0;
  static std::atomic<int> seen{0};
  EXPECT_EQ(run_in_child([] {
              parent = ::getpid();
              std::signal(SIGUSR1, [](int) {
                if (::getpid() != parent) ::_exit(66);
                ++seen;
              });
              std::atomic<bool> stop{false};
              std::thread shooter([&] {
                while (!stop) {
                  ::kill(parent, SIGUSR1);
                  ::usleep(100);
                }
              });
              int code = 0;
              for (std::size_t i = 0; i < scaled(40) && code == 0; ++i) code = run([] {});
              stop = true;
              shooter.join();
              return code != 0 ? code : seen > 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace brood
