#include "os/signals.hpp"

#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;
using testing::run_in_child;

bool is_blocked(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return ::sigismember(&mask, signal) == 1;
}

TEST(SignalMask, BlocksInItsScope) {
  ASSERT_FALSE(is_blocked(SIGUSR1));
  {
    const SignalMask mask({SIGUSR1, SIGUSR2});
    EXPECT_TRUE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGTERM));
    EXPECT_EQ(::sigismember(&mask.previous(), SIGUSR1), 0);
    const SignalMask all;
    EXPECT_TRUE(is_blocked(SIGTERM));
  }
  EXPECT_FALSE(is_blocked(SIGUSR1));
  EXPECT_FALSE(is_blocked(SIGTERM));
}

TEST(SignalMask, Misuse) {
  EXPECT_EQ(error_of([] { const SignalMask mask({12345}); }), EINVAL);
  const Fault fault(Call::sigmask, ENOMEM);
  EXPECT_EQ(error_of([] { const SignalMask mask({SIGUSR1}); }), ENOMEM);
}

TEST(Signals, BlockAndUnblockForGood) {
  EXPECT_EQ(run_in_child([] {
              block_signals({SIGUSR1});
              if (!is_blocked(SIGUSR1)) return 1;
              unblock_signals({SIGUSR1});
              return is_blocked(SIGUSR1) ? 2 : 0;
            }),
            0);
}

TEST(Signals, Dispositions) {
  EXPECT_EQ(run_in_child([] {
              if (!has_default_action(SIGUSR1)) return 1;
              ignore_signal(SIGUSR1);
              if (has_default_action(SIGUSR1)) return 2;
              ::raise(SIGUSR1);
              default_signal(SIGUSR1);
              if (!has_default_action(SIGUSR1)) return 3;
              ::raise(SIGUSR1);
              return 4;
            }),
            -SIGUSR1);
  EXPECT_EQ(error_of([] { ignore_signal(SIGKILL); }), EINVAL);
  EXPECT_EQ(error_of([] { (void)has_default_action(12345); }), EINVAL);
  const Fault fault(Call::sigaction, ENOMEM, 1, 3);
  EXPECT_EQ(error_of([] { ignore_signal(SIGUSR1); }), ENOMEM);
  EXPECT_EQ(error_of([] { default_signal(SIGUSR1); }), ENOMEM);
  EXPECT_EQ(error_of([] { (void)has_default_action(SIGUSR1); }), ENOMEM);
}

TEST(Signals, ResetInChild) {
  EXPECT_EQ(run_in_child([] {
              std::signal(SIGUSR1, [](int) { ::_exit(1); });
              struct sigaction action = {};
              action.sa_flags = SA_SIGINFO;
              action.sa_sigaction = [](int, siginfo_t*, void*) { ::_exit(2); };
              ::sigaction(SIGUSR2, &action, nullptr);
              std::signal(SIGPIPE, SIG_IGN);
              block_signals({SIGTERM});
              reset_signals_in_child();
              if (!has_default_action(SIGUSR1) || !has_default_action(SIGUSR2)) return 3;
              if (has_default_action(SIGPIPE)) return 4;
              return is_blocked(SIGTERM) ? 5 : 0;
            }),
            0);
}

TEST(Signals, Signalfd) {
  const SignalMask mask({SIGUSR1, SIGUSR2});
  const Fd fd = make_signalfd({SIGUSR1, SIGUSR2});
  EXPECT_TRUE(testing::is_close_on_exec(fd.get()));
  EXPECT_FALSE(read_signal(fd.get()));
  ::raise(SIGUSR2);
  EXPECT_TRUE(wait_readable(fd.get(), Deadline::never()));
  {
    const Fault fault(Call::read, EINTR);
    EXPECT_EQ(read_signal(fd.get()), SIGUSR2);
  }
  EXPECT_FALSE(read_signal(fd.get()));
  EXPECT_EQ(error_of([] { (void)read_signal(-1); }), EBADF);
}

TEST(Signals, SignalfdFaults) {
  const Fault fault(Call::signalfd, EMFILE);
  EXPECT_EQ(error_of([] { make_signalfd({SIGUSR1}); }), EMFILE);
}

}  // namespace
}  // namespace brood::os
