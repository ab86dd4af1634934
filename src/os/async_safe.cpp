#include "os/async_safe.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/clock.hpp"
#include "os/syscall.hpp"

namespace brood::os {
namespace {

class KeepErrno {
 public:
  KeepErrno() = default;
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = saved_; }

 private:
  int saved_ = errno;
};

}  // namespace

void kill_child(pid_t pid) noexcept {
  const KeepErrno keep;
  ::kill(pid, SIGKILL);
}

void reap_child(pid_t pid) noexcept {
  const KeepErrno keep;
  siginfo_t info{};
  call(Call::waitid, [&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED); });
}

void kill_pidfd(int pidfd) noexcept {
  const KeepErrno keep;
  call(Call::pidfd_send_signal, [&] { return ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0); });
}

void send_nowait(int socket, std::span<const std::byte> message) noexcept {
  const KeepErrno keep;
  call(Call::sendmsg, [&] { return ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT); });
}

void shut_down(int socket) noexcept {
  const KeepErrno keep;
  ::shutdown(socket, SHUT_RDWR);
}

bool wait_for_exit(int pidfd, std::int64_t deadline_ns) noexcept {
  const KeepErrno keep;
  for (;;) {
    const std::int64_t left_ns = deadline_ns - now_ns();
    pollfd item{pidfd, POLLIN, 0};
    const int timeout_ms = static_cast<int>(std::clamp<std::int64_t>((left_ns + 999'999) / 1'000'000, 0, 60'000));
    const int ready = call_once(Call::poll, [&] { return ::poll(&item, 1, timeout_ms); });
    if (ready > 0) break;
    if (left_ns <= 0) return false;
    if (ready < 0 && errno != EINTR && errno != EAGAIN && errno != ENOMEM) return false;
  }
  siginfo_t info{};
  const auto reap = [&] {
    return call(Call::waitid, [&] { return ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG); });
  };
  if (reap() < 0 && errno != ECHILD) reap();  // for want of memory perhaps, and then a zombie would stay
  return true;
}

void block_all_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

void restore_mask(const sigset_t& mask) noexcept { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }

struct sigaction take_default_action(int signal) noexcept {
  struct sigaction previous {};
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, &previous);
  return previous;
}

void restore_action(int signal, const struct sigaction& action) noexcept { ::sigaction(signal, &action, nullptr); }

void exit_now(int code) noexcept { ::_exit(code); }

}  // namespace brood::os
