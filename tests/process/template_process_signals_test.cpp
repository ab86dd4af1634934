// Signals, threads, forks and sudden deaths around the template process.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>

#include "process/template_children.hpp"
#include "process/template_process.hpp"
#include "support/scale.hpp"

namespace brood::proc::testing {
namespace {

using Kind = ChildEvent::Kind;
using brood::testing::scaled;

[[noreturn]] int sleep_for_ever(std::uint64_t = 0, Fds = {}) { run_for_ever(); }

void on_signal(int) {}

bool is_blocked(const sigset_t& set, int signal) { return sigismember(&set, signal) == 1; }

// --- what children have of the caller's signals --------------------------------------------------------------------

TEST(TemplateSignals, ChildrenHaveTheCallersSignals) {
  EXPECT_EQ(run_in_child([] {
              ::signal(SIGUSR1, on_signal);
              ::signal(SIGUSR2, SIG_IGN);
              ::signal(SIGCHLD, on_signal);
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGHUP);
              ::sigprocmask(SIG_SETMASK, &set, nullptr);
              Template parent([](std::uint64_t, Fds) {
                sigset_t mask;
                ::sigprocmask(SIG_SETMASK, nullptr, &mask);
                for (int signal = 1; signal < NSIG; ++signal) {
                  if (is_blocked(mask, signal) != (signal == SIGHUP)) return 1;
                }
                const auto handler = [](int signal) {
                  struct sigaction action {};
                  ::sigaction(signal, nullptr, &action);
                  return action.sa_handler;
                };
                if (handler(SIGUSR1) != on_signal || handler(SIGCHLD) != on_signal) return 2;
                if (handler(SIGUSR2) != SIG_IGN || handler(SIGINT) != SIG_IGN) return 3;
                if (handler(SIGTERM) != SIG_DFL || handler(SIGTSTP) != SIG_DFL || handler(SIGHUP) != SIG_DFL) return 4;
                sigset_t pending;
                ::sigpending(&pending);
                for (int signal = 1; signal < NSIG; ++signal) {
                  if (is_blocked(pending, signal)) return 5;
                }
                return 0;
              });
              for (const int signal : {SIGTERM, SIGHUP, SIGUSR1}) ::kill(parent.process.pid(), signal);
              return parent.status_of_child().code;
            }),
            0);
}

TEST(TemplateSignals, TheCallersMaskIsUntouched) {
  sigset_t before, after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Template parent(sleep_for_ever);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < NSIG; ++signal) EXPECT_EQ(is_blocked(before, signal), is_blocked(after, signal));
}

// With these the kernel reaps children without telling anybody.
TEST(TemplateSignals, ACallerThatIgnoresItsChildren) {
  for (const int flags : {0, SA_NOCLDWAIT}) {
    EXPECT_EQ(run_in_child([&] {
                struct sigaction action {};
                action.sa_handler = flags == 0 ? SIG_IGN : on_signal;
                action.sa_flags = flags;
                ::sigaction(SIGCHLD, &action, nullptr);
                Template parent([](std::uint64_t, Fds) {
                  struct sigaction mine {};
                  ::sigaction(SIGCHLD, nullptr, &mine);
                  const bool same = (mine.sa_flags & SA_NOCLDWAIT) != 0 || mine.sa_handler == SIG_IGN;
                  return same ? 7 : 8;
                });
                if (parent.status_of_child().code != 7) return 1;
                parent.start();
                return parent.process.finish(os::Deadline::never()) ? 0 : 2;
              }),
              0);
  }
}

// What a terminal sends to the whole group.
TEST(TemplateSignals, TheTemplateOutlivesWhatIsSentToTheGroup) {
  Template parent([](std::uint64_t, Fds) { return 0; });
  for (const int signal :
       {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2}) {
    ::kill(parent.process.pid(), signal);
  }
  EXPECT_EQ(parent.status_of_child().code, 0);
}

// --- the end, from both sides --------------------------------------------------------------------------------------

TEST(TemplateEnd, TerminateKillsEverybody) {
  Pipe alive;
  Template parent(sleep_for_ever);
  for (std::uint64_t i = 0; i < 5; ++i) parent.start(i);
  parent.process.terminate_now();
  EXPECT_EQ(alive.rest(), "");
  EXPECT_TRUE(has_ended(parent.process.pid()));
  EXPECT_FALSE(has_children());
  parent.process.terminate_now();  // nothing is left to do
  EXPECT_EQ(parent.wait().kind, Kind::template_died);
}

TEST(TemplateEnd, ChildrenThatIgnoreEverySignal) {
  Pipe alive;
  Template parent([](std::uint64_t, Fds) -> int {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    run_for_ever();
  });
  parent.start();
  parent.process.terminate_now();
  EXPECT_EQ(alive.rest(), "");
}

TEST(TemplateEnd, AStoppedTemplate) {
  Pipe alive;
  Template parent(sleep_for_ever);
  for (std::uint64_t i = 0; i < 3; ++i) parent.start(i);
  ::kill(parent.process.pid(), SIGSTOP);
  parent.process.terminate_now();
  EXPECT_EQ(alive.rest(), "");
  EXPECT_FALSE(has_children());
}

TEST(TemplateEnd, StoppedChildren) {
  Pipe alive;
  Template parent(sleep_for_ever);
  for (std::uint64_t i = 0; i < 3; ++i) ::kill(parent.start(i).pid, SIGSTOP);
  parent.process.terminate_now();
  EXPECT_EQ(alive.rest(), "");
}

TemplateProcess* to_terminate = nullptr;

TEST(TemplateEnd, TerminateInASignalHandler) {
  Template parent(sleep_for_ever);
  parent.start();
  to_terminate = &parent.process;
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { to_terminate->terminate_now(); };
  ::sigaction(SIGUSR1, &action, &before);
  ::raise(SIGUSR1);
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_FALSE(has_children());
}

TEST(TemplateEnd, TerminateWhileAnotherThreadWaits) {
  for (std::size_t i = 0; i < scaled(50); ++i) {
    Template parent(sleep_for_ever);
    parent.start();
    std::thread terminator([&] { parent.process.terminate_now(); });
    EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
    terminator.join();
  }
}

TEST(TemplateEnd, DestructionInAChildOfForkDoesNothing) {
  auto parent = std::make_unique<Template>(sleep_for_ever);
  const ChildEvent child = parent->start();
  EXPECT_EQ(run_in_child([&] {
              parent.reset();
              return 0;
            }),
            0);
  EXPECT_FALSE(parent->process.next_event());
  EXPECT_EQ(::kill(child.pid, 0), 0);
}

// A process that makes a template with children, says so and waits. `alive` ends when all of them are gone.
pid_t fork_family(Pipe& ready) {
  return fork_child([&] {
    Template parent(sleep_for_ever);
    for (std::uint64_t i = 0; i < 3; ++i) parent.start(i);
    ready.put_value(parent.process.pid());
    run_for_ever();
    return 0;
  });
}

TEST(TemplateEnd, TheCallerIsKilled) {
  Pipe alive, ready;
  const pid_t middle = fork_family(ready);
  ready.get_value<pid_t>();
  ::kill(middle, SIGKILL);
  EXPECT_EQ(exit_code_of(middle), -SIGKILL);
  EXPECT_EQ(alive.rest(), "");
}

// Both of the template's signs of it are there at once when it looks.
TEST(TemplateEnd, TheCallerIsKilledWhileTheTemplateIsStopped) {
  Pipe alive, ready;
  const pid_t middle = fork_family(ready);
  const pid_t pid = ready.get_value<pid_t>();
  ::kill(pid, SIGSTOP);
  ::kill(middle, SIGKILL);
  EXPECT_EQ(exit_code_of(middle), -SIGKILL);
  ::usleep(10'000);
  ::kill(pid, SIGCONT);
  EXPECT_EQ(alive.rest(), "");
}

// A process that was forked from the caller after the template was made holds its end of the socket.
TEST(TemplateEnd, TheCallerIsKilledButNotItsOtherChild) {
  Pipe alive, ready;
  const pid_t middle = fork_child([&] {
    Template parent(sleep_for_ever);
    for (std::uint64_t i = 0; i < 3; ++i) parent.start(i);
    const pid_t other = ::fork();
    if (other == 0) {
      alive.writer.reset();
      run_for_ever();
    }
    ready.put_value(other);
    run_for_ever();
    return 0;
  });
  const pid_t other = ready.get_value<pid_t>();
  ::kill(middle, SIGKILL);
  EXPECT_EQ(exit_code_of(middle), -SIGKILL);
  EXPECT_EQ(alive.rest(), "");
  ::kill(other, SIGKILL);
}

// At any moment of the start.
TEST(TemplateEnd, TheCallerIsKilledWhileItStarts) {
  std::minstd_rand random(11);
  for (std::size_t round = 0; round < scaled(150); ++round) {
    Pipe alive;
    const pid_t middle = fork_child([&] {
      for (;;) {
        Template parent(sleep_for_ever);
        for (std::uint64_t i = 0; i < 4; ++i) parent.process.spawn(i, {});
        parent.wait();
      }
      return 0;
    });
    ::usleep(static_cast<useconds_t>(random() % 6000));
    ::kill(middle, SIGKILL);
    EXPECT_EQ(exit_code_of(middle), -SIGKILL);
    EXPECT_EQ(alive.rest(), "") << "round " << round;
  }
}

// And at any moment of the template's.
TEST(TemplateEnd, TheTemplateIsKilledWhileItStartsChildren) {
  std::minstd_rand random(12);
  for (std::size_t round = 0; round < scaled(150); ++round) {
    Pipe alive;
    Template parent(sleep_for_ever);
    alive.writer.reset();
    for (std::uint64_t i = 0; i < 8; ++i) parent.process.spawn(i, {});
    ::usleep(static_cast<useconds_t>(random() % 2000));
    ::kill(parent.process.pid(), SIGKILL);
    EXPECT_EQ(parent.wait_for(Kind::template_died).kind, Kind::template_died);
    EXPECT_EQ(alive.rest(), "") << "round " << round;
  }
}

// --- threads -------------------------------------------------------------------------------------------------------

TEST(TemplateThreads, ChildrenOutliveTheThreadThatMadeThem) {
  Pipe go;
  std::unique_ptr<Template> parent;
  std::thread maker([&] {
    parent = std::make_unique<Template>([&](std::uint64_t, Fds) { return go.get_value<char>() == 'g' ? 4 : 5; });
    parent->start();
  });
  maker.join();
  ::usleep(20'000);
  EXPECT_FALSE(parent->process.next_event()) << "something ended";
  EXPECT_EQ(parent->start(2).kind, Kind::spawned);
  go.put("gg");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(parent->wait().status.code, 4);
}

// Other threads hold the locks of malloc and of stdio at all kinds of moments.
TEST(TemplateThreads, LocksOfOtherThreads) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' own allocator locks do not survive a fork beside busy threads";
#endif
  std::FILE* const sink = std::fopen("/dev/null", "we");
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([&] {
      while (!stop) {
        std::vector<std::string> texts;
        for (int k = 0; k < 20; ++k) texts.emplace_back(static_cast<std::size_t>(10 + k * 37), 'x');
        for (const auto& text : texts) std::fputs(text.c_str(), sink);
        std::fflush(sink);
      }
    });
  }
  for (std::size_t round = 0; round < scaled(60); ++round) {
    Template parent([&](std::uint64_t, Fds) {
      std::vector<std::string> texts(100, std::string(500, 'y'));
      for (const auto& text : texts) std::fputs(text.c_str(), sink);
      return std::fflush(sink) == 0 ? 0 : 1;
    });
    EXPECT_EQ(parent.status_of_child().code, 0);
  }
  stop = true;
  for (auto& thread : busy) thread.join();
  std::fclose(sink);
}

// A mutex of the program that some thread holds is of no interest to the template.
TEST(TemplateThreads, AMutexThatIsHeld) {
  std::mutex mutex;
  std::atomic<bool> held{false}, stop{false};
  std::thread holder([&] {
    const std::lock_guard lock(mutex);
    held = true;
    while (!stop) ::usleep(100);
  });
  while (!held) ::usleep(100);
  Template parent([](std::uint64_t, Fds) { return 0; });
  EXPECT_EQ(parent.status_of_child().code, 0);
  stop = true;
  holder.join();
}

}  // namespace
}  // namespace brood::proc::testing
