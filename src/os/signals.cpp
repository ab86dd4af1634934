#include "os/signals.hpp"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

sigset_t to_set(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    if (sigaddset(&set, signal) < 0) throw_errno(errno, "sigaddset", std::to_string(signal));
  }
  return set;
}

sigset_t change_mask(int how, const sigset_t& set) {
  sigset_t previous;
  const int result = call(Call::sigmask, [&] {
    errno = ::pthread_sigmask(how, &set, &previous);  // returns the error instead of setting errno
    return errno == 0 ? 0 : -1;
  });
  if (result < 0) throw_errno(errno, "pthread_sigmask");
  return previous;
}

void set_disposition(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  if (call(Call::sigaction, [&] { return ::sigaction(signal, &action, nullptr); }) < 0) {
    throw_errno(errno, "sigaction", std::to_string(signal));
  }
}

// All but those that a fault in the thread itself raises: blocked, they would kill without a word.
sigset_t full_set() {
  sigset_t set;
  sigfillset(&set);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) sigdelset(&set, signal);
  return set;
}

}  // namespace

SignalMask::SignalMask() : previous_(change_mask(SIG_BLOCK, full_set())) {}

SignalMask::SignalMask(std::initializer_list<int> signals) : previous_(change_mask(SIG_BLOCK, to_set(signals))) {}

SignalMask::~SignalMask() { ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

void reset_signals_in_child() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    // Fails for the two signals that the C library keeps for itself.
    if (call(Call::sigaction, [&] { return ::sigaction(signal, nullptr, &action); }) < 0) continue;
    const bool caught =
        (action.sa_flags & SA_SIGINFO) != 0 || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
    if (caught) set_disposition(signal, SIG_DFL);
  }
  change_mask(SIG_SETMASK, to_set({}));
}

void ignore_signal(int signal) { set_disposition(signal, SIG_IGN); }

void default_signal(int signal) { set_disposition(signal, SIG_DFL); }

bool has_default_action(int signal) {
  struct sigaction action {};
  if (call(Call::sigaction, [&] { return ::sigaction(signal, nullptr, &action); }) < 0) {
    throw_errno(errno, "sigaction", std::to_string(signal));
  }
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
}

void block_signals(std::initializer_list<int> signals) { change_mask(SIG_BLOCK, to_set(signals)); }

void unblock_signals(std::initializer_list<int> signals) { change_mask(SIG_UNBLOCK, to_set(signals)); }

Fd make_signalfd(std::initializer_list<int> signals) {
  const sigset_t set = to_set(signals);
  const int fd = call(Call::signalfd, [&] { return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK); });
  if (fd < 0) throw_errno(errno, "signalfd");
  return above_standard_streams(Fd(fd));
}

std::optional<int> read_signal(int signalfd) {
  signalfd_siginfo info{};
  const ssize_t count = call(Call::read, [&] { return ::read(signalfd, &info, sizeof info); });
  if (count == static_cast<ssize_t>(sizeof info)) return static_cast<int>(info.ssi_signo);
  if (count < 0 && errno == EAGAIN) return std::nullopt;
  throw_errno(count < 0 ? errno : EIO, "read", "signalfd " + std::to_string(signalfd));
}

}  // namespace brood::os
