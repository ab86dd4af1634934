#include "os/terminal.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

class SavedErrno {
 public:
  SavedErrno() noexcept : errno_(errno) {}
  SavedErrno(const SavedErrno&) = delete;
  SavedErrno& operator=(const SavedErrno&) = delete;
  ~SavedErrno() { errno = errno_; }

 private:
  int errno_;
};

// Keeps a write to a pipe without a reader from ending the program: the signal is blocked in this thread, and the one
// that our own write raised is taken back. One that was pending before stays pending.
class NoBrokenPipe {
 public:
  NoBrokenPipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigemptyset(&pending);
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &previous_);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;
  ~NoBrokenPipe() {
    if (raised_ && !was_pending_) {
      const timespec at_once{};
      call(Call::sigmask, [&] { return ::sigtimedwait(&pipe_, nullptr, &at_once); });
    }
    ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }

  void raised() noexcept { raised_ = true; }

 private:
  sigset_t pipe_;
  sigset_t previous_;
  bool was_pending_;
  bool raised_ = false;
};

// False when it is not ready in time, or cannot be asked.
bool wait_writable(int fd, int timeout_ms) noexcept {
  pollfd item{fd, POLLOUT, 0};
  return call(Call::poll, [&] { return ::poll(&item, 1, timeout_ms); }) > 0;
}

}  // namespace

bool is_terminal(int fd) noexcept {
  const SavedErrno saved;
  return ::isatty(fd) == 1;
}

TerminalSize terminal_size(int fd) noexcept {
  const SavedErrno saved;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

FileIdentity file_identity(int fd) noexcept {
  const SavedErrno saved;
  struct stat status {};
  if (::fstat(fd, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

Delivery deliver(int fd, std::string_view text, bool skippable) noexcept {
  const SavedErrno saved;
  if (skippable && !wait_writable(fd, 0)) return Delivery::skipped;
  NoBrokenPipe guard;
  while (!text.empty()) {
    const ssize_t count = call(Call::write, [&] { return ::write(fd, text.data(), text.size()); });
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      skippable = false;
    } else if (errno == EAGAIN) {
      if (skippable) return Delivery::skipped;
      if (!wait_writable(fd, -1)) return Delivery::lost;
    } else {
      if (errno == EPIPE) guard.raised();
      return Delivery::lost;
    }
  }
  return Delivery::complete;
}

}  // namespace brood::os
