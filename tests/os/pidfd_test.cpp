#include "os/pidfd.hpp"

#include <sys/resource.h>

#include <csignal>

#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::Fault;
using testing::fork_child;
using testing::run_in_child;

int sleep_for_ever() {
  for (;;) ::pause();
}

TEST(Pidfd, CloseOnExec) {
  const Fd self = open_pidfd(::getpid());
  EXPECT_TRUE(testing::is_close_on_exec(self.get()));
}

TEST(Pidfd, ExitStatus) {
  for (const int code : {0, 3, 255}) {
    const Fd child = open_pidfd(fork_child([&] { return code; }));
    const auto status = wait(child, Deadline::never());
    ASSERT_TRUE(status);
    EXPECT_TRUE(status->known);
    EXPECT_EQ(status->code, code);
    EXPECT_FALSE(status->core);
    EXPECT_GT(status->max_rss_kib, 0);
  }
}

TEST(Pidfd, EndBySignal) {
  for (const int signal : {SIGKILL, SIGTERM, SIGABRT}) {
    const Fd child = open_pidfd(fork_child([&] {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      return sleep_for_ever();
    }));
    EXPECT_TRUE(send_signal(child, signal));
    EXPECT_EQ(wait(child, Deadline::never())->code, -signal);
  }
}

TEST(Pidfd, TryWaitAndDeadline) {
  const Fd child = open_pidfd(fork_child(sleep_for_ever));
  EXPECT_FALSE(try_wait(child));
  EXPECT_FALSE(wait(child, Deadline::after(2ms)));
  EXPECT_FALSE(wait_readable(child.get(), Deadline::at(0)));
  EXPECT_TRUE(send_signal(child, SIGKILL));
  EXPECT_TRUE(wait_readable(child.get(), Deadline::never()));
  EXPECT_EQ(try_wait(child)->code, -SIGKILL);
  // Reaped: the end can still be seen, and no signal can go astray.
  EXPECT_TRUE(wait_readable(child.get(), Deadline::never()));
  EXPECT_TRUE(try_wait(child));
  EXPECT_FALSE(send_signal(child, SIGKILL));
}

TEST(Pidfd, SomebodyElseReaped) {
  const pid_t pid = fork_child([] { return 7; });
  const Fd child = open_pidfd(pid);
  EXPECT_EQ(testing::exit_code_of(pid), 7);
  const auto status = wait(child, Deadline::never());
  ASSERT_TRUE(status);
  EXPECT_TRUE(!status->known || status->code == 7);  // known from Linux 6.15 on
  const Fault fault(Call::ioctl, ENOTTY);            // as before that
  EXPECT_FALSE(try_wait(child)->known);
}

TEST(Pidfd, SigchldIgnored) {
  EXPECT_EQ(run_in_child([] {
              std::signal(SIGCHLD, SIG_IGN);
              const Fd child = open_pidfd(fork_child([] {
                ::usleep(2000);
                return 7;
              }));
              if (try_wait(child) && !wait_readable(child.get(), Deadline::at(0))) return 1;
              const auto status = wait(child, Deadline::never());
              return status && (!status->known || status->code == 7) ? 0 : 2;
            }),
            0);
}

TEST(Pidfd, InheritedByAnotherChild) {
  const Fd child = open_pidfd(fork_child(sleep_for_ever));
  EXPECT_EQ(run_in_child([&] {
              if (try_wait(child)) return 1;                    // runs, and is not ours to reap
              if (wait(child, Deadline::after(2ms))) return 2;  // no endless loop either
              if (!send_signal(child, SIGKILL)) return 3;       // but it may be signalled
              return wait(child, Deadline::never()) ? 0 : 4;    // and its end is seen
            }),
            0);
  EXPECT_EQ(wait(child, Deadline::never())->code, -SIGKILL);
}

TEST(Pidfd, NoSuchProcess) {
  const pid_t pid = fork_child([] { return 0; });
  testing::exit_code_of(pid);
  EXPECT_EQ(error_of([&] { open_pidfd(pid); }), ESRCH);
  EXPECT_EQ(error_of([] { send_signal(Fd(), SIGTERM); }), EBADF);
  EXPECT_EQ(error_of([] { try_wait(Fd()); }), EINVAL);
}

TEST(Pidfd, WaitAnyReapsEachChildOnce) {
  EXPECT_EQ(run_in_child([] {
              if (try_wait_any()) return 1;  // no child at all
              const pid_t a = fork_child([] { return 1; });
              const pid_t b = fork_child([] { return 2; });
              int sum = 0;
              for (int reaped = 0; reaped < 2;) {
                if (const auto ended = try_wait_any()) {
                  if (ended->second.code != (ended->first == a ? 1 : 2)) return 2;
                  if (ended->first != a && ended->first != b) return 3;
                  ++reaped;
                  sum += ended->second.code;
                }
              }
              return sum == 3 && !try_wait_any() ? 0 : 4;
            }),
            0);
}

TEST(Pidfd, Reap) {
  const pid_t pid = fork_child([] { return 0; });
  reap(pid);
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  reap(pid);  // somebody else did
}

TEST(Pidfd, Faults) {
  {
    const Fault fault(Call::pidfd_open, EMFILE);
    EXPECT_EQ(error_of([] { open_pidfd(::getpid()); }), EMFILE);
  }
  const Fd child = open_pidfd(fork_child(sleep_for_ever));
  {
    const Fault fault(Call::pidfd_send_signal, ENOMEM);
    EXPECT_EQ(error_of([&] { send_signal(child, 0); }), ENOMEM);
  }
  for (const int error : {EAGAIN, ENOMEM}) {
    const Fault fault(Call::waitid, error, 1, 3);
    EXPECT_EQ(error_of([&] { try_wait(child); }), error);
    EXPECT_EQ(error_of([] { try_wait_any(); }), error);
    EXPECT_EQ(error_of([] { reap(1); }), error);
  }
  {
    const Fault fault(Call::waitid, EINTR, 1, 4);
    EXPECT_FALSE(try_wait(child));
  }
  send_signal(child, SIGKILL);
  wait(child, Deadline::never());
}

}  // namespace
}  // namespace brood::os
