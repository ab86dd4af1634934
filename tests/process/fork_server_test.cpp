// The fork server and its ends: killed, stopped, orphaned; and whose it is.
#include "process/fork_server.hpp"

#include <sys/prctl.h>

#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

class ForkServer : public ::testing::Test {
 protected:
  void TearDown() override { end_fork_server(); }
};

const ProcessOptions kServed{.start_method = StartMethod::forkserver};

template <class F, class... Args>
int run_served(F&& f, Args&&... args) {
  Process process(kServed, std::forward<F>(f), std::forward<Args>(args)...);
  process.start();
  process.join();
  return process.exitcode().value();
}

std::size_t threads_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::stoul(line.substr(8));
  }
  return 0;
}

TEST_F(ForkServer, OneForAllStarts) {
  const pid_t server = fork_server_pid();
  EXPECT_EQ(fork_server_pid(), server);
  std::thread([&] { EXPECT_EQ(fork_server_pid(), server); }).join();
  EXPECT_NE(server, ::getpid());
  if (!brood::testing::kThreadSanitizer) {
    EXPECT_EQ(threads_of(server), 1U);
  }
}

TEST_F(ForkServer, EachProcessHasItsOwn) {
  const pid_t server = fork_server_pid();
  // In a plain fork, and in a process of each method.
  EXPECT_EQ(run_in_child([&] { return fork_server_pid() == server ? 1 : 0; }), 0);
  for (const StartMethod method : kEveryMethod) {
    Process process(ProcessOptions{.start_method = method}, [server] { ::_exit(fork_server_pid() == server ? 1 : 0); });
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), 0) << name_of(method);
  }
  EXPECT_EQ(fork_server_pid(), server);
}

// It keeps nothing of its caller's open but its line to it.
TEST_F(ForkServer, HoldsNoStandardStream) {
  const std::string text = written_to(1, [] {
    ::dup2(1, 2);
    const pid_t server = fork_server_pid();
    const std::string path = "/proc/" + std::to_string(server) + "/fd/";
    char mine[100] = {}, its[100] = {};
    if (::readlink("/proc/self/fd/1", mine, sizeof mine - 1) <= 0) ::_exit(1);
    for (const char* const fd : {"0", "1", "2"}) {
      if (::readlink((path + fd).c_str(), its, sizeof its - 1) <= 0) ::_exit(2);
      if (std::string(its) == mine) ::_exit(3);
    }
  });
  EXPECT_EQ(text, "");
}

TEST_F(ForkServer, KilledBetweenStarts) {
  pid_t server = fork_server_pid();
  for (std::size_t i = 0; i < scaled(10); ++i) {
    kill_fork_server(server);
    EXPECT_EQ(run_served([] { ::_exit(4); }), 4);
    const pid_t next = fork_server_pid();
    EXPECT_NE(next, server);
    server = next;
  }
  EXPECT_EQ(children().size(), 1U);
}

// Also when the next start comes while it is still dying: no zombie stays.
TEST_F(ForkServer, KilledRightBeforeAStart) {
  for (std::size_t i = 0; i < scaled(60); ++i) {
    const pid_t server = fork_server_pid();
    ::kill(server, SIGKILL);
    EXPECT_EQ(run_served([] { ::_exit(4); }), 4);
    ASSERT_LE(children().size(), 1U) << i;
  }
}

// Its children live on, and what they say themselves is known. What only the kernel knows is known where whoever gets
// orphans reaps them.
TEST_F(ForkServer, KilledDuringTheLifeOfItsChildren) {
  struct Case {
    void (*end)(Word*);
    int code;
    bool said;
  };
  const Case cases[] = {
      {[](Word* go) { await(*go); }, 0, true},
      {[](Word* go) {
         await(*go);
         std::exit(3);
       },
       3, true},
      {[](Word* go) {
         await(*go);
         ::_exit(4);
       },
       4, false},
      {[](Word* go) {
         await(*go);
         ::raise(SIGKILL);
       },
       -SIGKILL, false},
  };
  for (const Case& one : cases) {
    const Shared<Word> go;
    const pid_t server = fork_server_pid();
    Process process(
        kServed, [go = go.get()](void (*end)(Word*)) { end(go); }, one.end);
    process.start();
    kill_fork_server(server);
    EXPECT_TRUE(process.is_alive());
    EXPECT_FALSE(process.join_for(2ms));
    // Another one does not mind.
    EXPECT_EQ(run_served([] { ::_exit(5); }), 5);
    *go = 1;
    process.join();
    if (one.said || process.exitcode() != kUnknownExitcode) {
      EXPECT_EQ(process.exitcode(), one.code);
    }
    EXPECT_LE(children().size(), 1U);
  }
}

// When it has died, the kernel hands its children to the next subreaper, which may be this process (as pid 1 of a
// container is): it has no other way to lose them.
TEST_F(ForkServer, KilledWhenOrphansComeHere) {
  EXPECT_EQ(run_in_child([] {
              ::prctl(PR_SET_CHILD_SUBREAPER, 1);
              const Shared<Word> go;
              const pid_t server = fork_server_pid();
              Process process(kServed, [go = go.get()] {
                await(*go);
                ::_exit(4);
              });
              process.start();
              kill_fork_server(server);
              *go = 1;
              process.join();
              if (process.exitcode() != 4) return 1;
              return is_gone(process.pid()) && state_of(process.pid()) == 0 ? 0 : 2;  // no zombie
            }),
            0);
}

// Daemons of a server that was killed end with their parent all the same.
TEST_F(ForkServer, KilledAndThenItsCaller) {
  const Shared<Word> ready;
  Pipe family;
  const pid_t caller = fork_child([&]() -> int {
    ::dup2(family.writer.get(), 1);
    family.writer.reset();
    const pid_t server = fork_server_pid();
    Process daemon(ProcessOptions{.daemon = true, .start_method = StartMethod::forkserver}, [ready = ready.get()] {
      *ready = 1;
      run_for_ever();
    });
    daemon.start();
    await(*ready);
    kill_fork_server(server);
    if (!daemon.is_alive()) return 1;
    ::raise(SIGKILL);
    return 2;
  });
  EXPECT_EQ(exit_code_of(caller), -SIGKILL);
  EXPECT_EQ(family.rest(), "");
}

// Whoever starts while somebody kills the server all the time gets a process that works, with the pid it says, or an
// error; never a wrong one.
TEST_F(ForkServer, KilledAtAnyInstant) {
  EXPECT_EQ(run_in_child([] {
              const Shared<Word> pid, done;
              std::atomic<pid_t> server{fork_server_pid()};
              std::atomic<bool> stop{false};
              std::thread killer([&] {
                std::minstd_rand random(99);
                while (!stop) {
                  ::usleep(static_cast<useconds_t>(random() % 2500));
                  for (const pid_t child : children()) {
                    if (child == server) ::kill(child, SIGKILL);
                  }
                }
              });
              int code = 0, worked = 0;
              const std::size_t rounds = scaled(400);
              for (std::size_t i = 0; i < rounds && code == 0; ++i) {
                *pid = 0;
                *done = 0;
                Process process(kServed, [pid = pid.get(), done = done.get()] {
                  *pid = ::getpid();
                  *done = ::getppid();
                });
                try {
                  process.start();
                } catch (const ProcessError&) {
                  continue;
                }
                process.join();
                if (process.exitcode() != 0) code = 1;
                if (*pid != process.pid()) code = 2;
                ++worked;
                server = done->load();
              }
              stop = true;
              killer.join();
              if (code == 0 && worked < 10) code = 3;
              return code;
            }),
            0);
}

// A server that is stopped delays starts; what has ended is known nevertheless.
TEST_F(ForkServer, Stopped) {
  const Shared<Word> go;
  const pid_t server = fork_server_pid();
  Process process(kServed, [go = go.get()] {
    await(*go);
    std::exit(3);
  });
  process.start();
  ::kill(server, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return state_of(server) == 'T'; }));
  *go = 1;
  process.join();
  EXPECT_EQ(process.exitcode(), 3);  // it said so itself
  std::thread starter([] { EXPECT_EQ(run_served([] { ::_exit(4); }), 4); });
  ::kill(server, SIGCONT);
  starter.join();
  EXPECT_EQ(fork_server_pid(), server);
}

// Stops the fork server where it is loaded, and makes the start fail.
struct StopsTheServer {
  template <class A>
  void serialize(A& archive) {
    int nothing = 0;
    archive(nothing);
    if constexpr (A::is_loading::value) {
      ::kill(::getppid(), SIGSTOP);
      throw std::runtime_error("stopped it");
    }
  }
};

// The server tells how a process ended when it has time. By then nobody else may have the place where it says so.
TEST_F(ForkServer, ALateWordHitsNobodyElse) {
  const pid_t server = fork_server_pid();
  for (std::size_t i = 0; i < scaled(3); ++i) {
    Process failing(
        kServed, [](const StopsTheServer&) {}, StopsTheServer{});
    EXPECT_NE(misuse_of([&] { failing.start(); }).find("stopped it"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return state_of(server) == 'T'; }));
    const Shared<Word> go;
    Process next(kServed, [go = go.get()] { await(*go); });
    std::thread starter([&] { next.start(); });
    // By now it has its exit record, and waits for the server.
    ::usleep(20000);
    ::kill(server, SIGCONT);
    starter.join();
    *go = 1;
    next.join();
    EXPECT_EQ(next.exitcode(), 0);
  }
}

// --- its caller's end -----------------------------------------------------------------------------------------------

// Returns the pid of the server of a process that was killed while `state` of the server was made so.
template <class F>
void expect_gone_with_its_caller(F&& before_the_kill) {
  const Shared<Word> server;
  const pid_t caller = fork_child([&]() -> int {
    *server = fork_server_pid();
    run_for_ever();
  });
  await(*server);
  const os::Fd pidfd = os::open_pidfd(*server);
  before_the_kill(*server);
  ::kill(caller, SIGKILL);
  exit_code_of(caller);
  EXPECT_TRUE(os::wait_readable(pidfd.get(), os::Deadline::after(20s))) << "state " << state_of(*server);
  os::send_signal(pidfd, SIGKILL);
}

TEST_F(ForkServer, EndsWithItsCaller) {
  expect_gone_with_its_caller([](pid_t) {});
}

TEST_F(ForkServer, EndsWithItsCallerWhileItIsStopped) {
  expect_gone_with_its_caller([](pid_t server) {
    ::kill(server, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return state_of(server) == 'T'; }));
  });
}

TEST_F(ForkServer, EndsWhenItsCallerBecomesAnotherProgram) {
  const Shared<Word> server;
  const pid_t caller = fork_child([&]() -> int {
    *server = fork_server_pid();
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    return 1;
  });
  await(*server);
  EXPECT_TRUE(eventually([&] { return is_gone(*server); }));
  ::kill(caller, SIGKILL);
  exit_code_of(caller);
}

// Signals that a terminal sends to the whole group are the program's business.
TEST_F(ForkServer, SignalsToTheGroup) {
  EXPECT_EQ(run_in_child([] {
              ::setpgid(0, 0);
              const pid_t server = fork_server_pid();
              for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGQUIT}) {
                std::signal(signal, SIG_IGN);
                ::kill(0, signal);
              }
              return fork_server_pid() == server ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace brood
