#include "os/spawn.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "os/lifeline.hpp"
#include "os/pidfd.hpp"
#include "os/signals.hpp"
#include "os/support.hpp"
#include "support/scale.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;
using testing::message_of;

int exit_code(const Spawned& child) { return wait(child.pidfd, Deadline::never())->code; }

int run(SpawnOptions options) { return exit_code(spawn(options)); }

// What a shell command prints, started with `options`.
std::string output_of(const std::string& command, SpawnOptions options = {}) {
  Lifeline pipe = make_lifeline();
  options.args = {"sh", "-c", command};
  options.fds.push_back({.target = 1, .source = pipe.writer.get()});
  const Spawned child = spawn(options);
  pipe.writer.reset();
  std::string text(4096, ' ');
  text.resize(read_all(pipe.reader.get(), text.data(), text.size()));
  exit_code(child);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

TEST(Spawn, RunsAProgram) {
  EXPECT_EQ(run({.args = {"/bin/true"}}), 0);
  EXPECT_EQ(run({.args = {"false"}}), 1);
  EXPECT_EQ(run({.args = {"sh", "-c", "exit 42"}}), 42);
  EXPECT_EQ(run({.args = {"sh", "-c", "kill -9 $$"}}), -SIGKILL);
  EXPECT_EQ(run({.args = {"another name", "-c", "test \"$0\" = 'another name'"}, .program = "/bin/sh"}), 0);
}

TEST(Spawn, PidfdIsCloseOnExecAndOfThePid) {
  const Spawned child = spawn({.args = {"sleep", "1000"}});
  EXPECT_TRUE(testing::is_close_on_exec(child.pidfd.get()));
  EXPECT_EQ(::kill(child.pid, SIGKILL), 0);
  EXPECT_EQ(exit_code(child), -SIGKILL);
}

TEST(Spawn, MissingProgram) {
  const int before = testing::count_fds();
  EXPECT_EQ(error_of([] { spawn({.args = {"/no/such/program"}}); }), ENOENT);
  EXPECT_NE(message_of([] { spawn({.args = {"/no/such/program"}}); }).find("execve(/no/such/program)"),
            std::string::npos);
  EXPECT_NE(message_of([] { spawn({.args = {"no-such-program"}}); }).find("execve(no-such-program)"),
            std::string::npos);
  EXPECT_EQ(error_of([] { spawn({.args = {"/etc/passwd"}}); }), EACCES);
  EXPECT_EQ(error_of([] { spawn({.args = {""}}); }), ENOENT);
  EXPECT_EQ(testing::count_fds(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no zombie is left
  EXPECT_EQ(errno, ECHILD);
}

TEST(Spawn, Misuse) {
  EXPECT_EQ(error_of([] { spawn({}); }), EINVAL);
  EXPECT_EQ(error_of([] { spawn({.args = {"true", std::string("a\0b", 3)}}); }), EINVAL);
  EXPECT_EQ(error_of([] { spawn({.args = {"true"}, .cwd = std::string("/\0", 2)}); }), EINVAL);
  EXPECT_EQ(error_of([] { spawn({.args = {"true", std::string(3 << 20, 'x')}}); }), E2BIG);
}

TEST(Spawn, Path) {
  EXPECT_EQ(run({.args = {"true"}, .env = {{"PATH=/nowhere:/bin"}}}), 0);
  EXPECT_EQ(error_of([] { spawn({.args = {"true"}, .env = {{"PATH=/nowhere"}}}); }), ENOENT);
  EXPECT_EQ(run({.args = {"true"}, .env = std::vector<std::string>{}}), 0);  // the default path
  EXPECT_EQ(run({.args = {"true"}, .env = {{"PATH="}}, .cwd = "/bin"}), 0);  // an empty entry is the directory itself
  // A file that may not be run is passed over, and named when there is no other.
  std::string directory = ::testing::TempDir() + "brood-spawn-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  open_file((directory + "/true").c_str(), O_CREAT | O_WRONLY, 0600);
  EXPECT_EQ(run({.args = {"true"}, .env = {{"PATH=" + directory + ":/bin"}}}), 0);
  const auto refused = [&] { spawn({.args = {"true"}, .env = {{"PATH=" + directory + ":/nowhere"}}}); };
  EXPECT_EQ(error_of(refused), EACCES);
  EXPECT_NE(message_of(refused).find(directory + "/true"), std::string::npos);
  std::filesystem::remove_all(directory);
}

TEST(Spawn, Environment) {
  ::setenv("BROOD_SPAWN_TEST", "inherited", 1);
  EXPECT_EQ(output_of("echo $BROOD_SPAWN_TEST"), "inherited");
  ::unsetenv("BROOD_SPAWN_TEST");
  EXPECT_EQ(output_of("echo $A-$BROOD_SPAWN_TEST", {.env = {{"A=1", "B=2"}}}), "1-");
}

TEST(Spawn, WorkingDirectory) {
  EXPECT_EQ(output_of("pwd", {.cwd = "/usr"}), "/usr");
  const auto missing = [] { spawn({.args = {"true"}, .cwd = "/no/such/dir"}); };
  EXPECT_EQ(error_of(missing), ENOENT);
  EXPECT_NE(message_of(missing).find("chdir(/no/such/dir)"), std::string::npos);
  EXPECT_EQ(run({.args = {"./sh", "-c", "true"}, .cwd = "/bin"}), 0);
}

TEST(Spawn, DescriptorsMayChangePlaces) {
  Lifeline a = make_lifeline(), b = make_lifeline();
  const int x = a.writer.get(), y = b.writer.get();
  // Each number of the program is the source of the other.
  const Spawned child =
      spawn({.args = {"sh", "-c", "echo to-a >&" + std::to_string(y) + "; echo to-b >&" + std::to_string(x)},
             .fds = {{.target = x, .source = y}, {.target = y, .source = x}}});
  EXPECT_EQ(exit_code(child), 0);
  char text[8] = {};
  EXPECT_EQ(read_some(a.reader.get(), text, sizeof text), 5U);
  EXPECT_STREQ(text, "to-a\n");
  EXPECT_EQ(read_some(b.reader.get(), text, sizeof text), 5U);
  EXPECT_STREQ(text, "to-b\n");
}

TEST(Spawn, OneSourceOnSeveralTargets) {
  Lifeline pipe = make_lifeline();
  const int fd = pipe.writer.get();
  EXPECT_EQ(run({.args = {"sh", "-c", "echo a; echo b >&2; echo c >&" + std::to_string(fd)},
                 .fds = {{1, fd}, {2, fd}, {fd, fd}}}),
            0);
  char text[8] = {};
  EXPECT_EQ(read_some(pipe.reader.get(), text, sizeof text), 6U);
  EXPECT_STREQ(text, "a\nb\nc\n");
}

TEST(Spawn, BadDescriptor) {
  const auto bad = [] { spawn({.args = {"true"}, .fds = {{1, 9999}}}); };
  EXPECT_EQ(error_of(bad), EBADF);
  EXPECT_NE(message_of(bad).find("dup(9999)"), std::string::npos);
}

TEST(Spawn, OtherDescriptorsAreClosed) {
  const Fd fd = open_file("/dev/null", O_RDONLY);
  set_inheritable(fd.get(), true);
  const std::string test = "test -e /proc/self/fd/" + std::to_string(fd.get()) + " && echo open || echo closed";
  EXPECT_EQ(output_of(test), "closed");
  EXPECT_EQ(output_of(test, {.close_others = false}), "open");
  EXPECT_EQ(output_of(test, {.fds = {{fd.get(), fd.get()}}}), "open");
}

TEST(Spawn, SessionAndGroup) {
  Spawned child = spawn({.args = {"sleep", "1000"}, .new_session = true});
  EXPECT_EQ(::getsid(child.pid), child.pid);
  send_signal(child.pidfd, SIGKILL);
  exit_code(child);
  child = spawn({.args = {"sleep", "1000"}, .process_group = 0});
  EXPECT_EQ(::getpgid(child.pid), child.pid);
  EXPECT_EQ(::kill(-child.pid, SIGKILL), 0);
  EXPECT_EQ(exit_code(child), -SIGKILL);
  EXPECT_NE(message_of([] { spawn({.args = {"true"}, .process_group = 999999}); }).find("setpgid(999999)"),
            std::string::npos);
}

TEST(Spawn, UmaskAndLimits) {
  EXPECT_EQ(output_of("umask", {.umask = 0027}), "0027");
  EXPECT_EQ(output_of("ulimit -n", {.limits = {{RLIMIT_NOFILE, 50, 50}}}), "50");
  EXPECT_EQ(error_of([] { spawn({.args = {"true"}, .limits = {{RLIMIT_NOFILE, 50, 40}}}); }), EINVAL);
}

TEST(Spawn, User) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(output_of("id -u; id -g; id -G", {.groups = {{12}}, .group = 65534, .user = 65534}),
            "65534\n65534\n65534 12");
  EXPECT_NE(message_of([] {
              const SpawnOptions options{.args = {"true"}, .user = 0};
              const Fault fault(Call::set_credentials, EPERM);
              spawn(options);
            }).find("setuid(0)"),
            std::string::npos);
}

TEST(Spawn, SignalsOfTheProgram) {
  const SignalMask mask({SIGUSR1});
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const std::string blocked = "grep SigBlk /proc/self/status | tail -c 4";
  EXPECT_EQ(output_of(blocked), "200");
  EXPECT_EQ(output_of(blocked, {.clear_signal_mask = true}), "000");
  const std::string ignored = "grep SigIgn /proc/self/status | tail -c 5 | head -c 1";  // signals 13 to 16
  EXPECT_EQ(output_of(ignored), "1");
  EXPECT_EQ(output_of(ignored, {.default_signals = {SIGPIPE}}), "0");
  std::signal(SIGPIPE, before);
}

TEST(Spawn, DiesWithItsParent) {
  Lifeline pipe = make_lifeline();
  const pid_t parent = testing::fork_child([&] {
    const Spawned child = spawn({.args = {"sleep", "1000"}, .parent_death_signal = SIGKILL});
    write_all(pipe.writer.get(), &child.pid, sizeof child.pid);
    for (;;) ::pause();
    return 0;
  });
  pid_t child = 0;
  ASSERT_EQ(read_all(pipe.reader.get(), &child, sizeof child), sizeof child);
  const Fd pidfd = open_pidfd(child);
  ::kill(parent, SIGKILL);
  testing::exit_code_of(parent);
  EXPECT_TRUE(wait(pidfd, Deadline::never()));
}

TEST(Spawn, Faults) {
  const int before = testing::count_fds();
  const SpawnOptions options{.args = {"true"},
                             .cwd = "/",
                             .fds = {{3, 2}},
                             .new_session = true,
                             .limits = {{RLIMIT_CORE, 0, 0}},
                             .default_signals = {SIGPIPE},
                             .parent_death_signal = SIGKILL};
  for (const Call call : {Call::clone, Call::mmap, Call::set_credentials, Call::chdir, Call::dup, Call::setrlimit,
                          Call::prctl, Call::sigaction, Call::execve}) {
    for (const int error : {EAGAIN, EMFILE, ENOMEM}) {
      const Fault fault(call, error);
      EXPECT_EQ(error_of([&] { spawn(options); }), error) << static_cast<int>(call);
    }
    const Fault fault(call, EINTR);
    EXPECT_EQ(exit_code(spawn(options)), 0);
  }
  EXPECT_EQ(testing::count_fds(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

// A child that borrows this memory must never run a handler of this process.
TEST(Spawn, UnderSignalsAndFromManyThreads) {
  static std::atomic<int> foreign{0};
  static const pid_t mine = ::getpid();
  const auto before = std::signal(SIGUSR2, [](int) {
    if (::getpid() != mine) ++foreign;
  });
  std::atomic<bool> stop{false};
  std::thread shooter([&] {
    while (!stop) {
      ::kill(mine, SIGUSR2);
      ::usleep(200);
    }
  });
  std::thread spawners[3];
  for (std::thread& spawner : spawners) {
    spawner = std::thread([] {
      for (std::size_t i = 0; i < brood::testing::scaled(50); ++i) EXPECT_EQ(run({.args = {"true"}}), 0);
    });
  }
  for (std::thread& spawner : spawners) spawner.join();
  stop = true;
  shooter.join();
  std::signal(SIGUSR2, before);
  EXPECT_EQ(foreign, 0);
}

}  // namespace
}  // namespace brood::os
