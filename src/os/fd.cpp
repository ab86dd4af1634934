#include "os/fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

void wait_ready(int fd, short events) {
  pollfd item{fd, events, 0};
  if (call(Call::poll, [&] { return ::poll(&item, 1, -1); }) < 0) throw_errno(errno, "poll", std::to_string(fd));
}

void change_flag(int fd, int get, int set, int flag, bool on) {
  const int flags = call(Call::fcntl, [&] { return ::fcntl(fd, get); });
  if (flags < 0) throw_errno(errno, "fcntl", std::to_string(fd));
  const int wanted = on ? (flags | flag) : (flags & ~flag);
  if (wanted != flags && call(Call::fcntl, [&] { return ::fcntl(fd, set, wanted); }) < 0) {
    throw_errno(errno, "fcntl", std::to_string(fd));
  }
}

}  // namespace

void Fd::reset() noexcept {
  if (fd_ < 0) return;
  const int saved = errno;
  ::close(release());
  injected_fault(Call::close);  // the descriptor is gone whatever close(2) says, so a failure changes nothing
  errno = saved;
}

Fd Fd::duplicate() const {
  const int copy = call(Call::dup, [&] { return ::fcntl(fd_, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); });
  if (copy < 0) throw_errno(errno, "fcntl", "F_DUPFD_CLOEXEC, " + std::to_string(fd_));
  return Fd(copy);
}

Fd above_standard_streams(Fd fd) { return fd.get() > STDERR_FILENO ? std::move(fd) : fd.duplicate(); }

std::size_t read_some(int fd, void* data, std::size_t bytes) {
  const ssize_t count = call(Call::read, [&] { return ::read(fd, data, bytes); });
  if (count < 0) throw_errno(errno, "read", std::to_string(fd));
  return static_cast<std::size_t>(count);
}

std::size_t write_some(int fd, const void* data, std::size_t bytes) {
  const ssize_t count = call(Call::write, [&] { return ::write(fd, data, bytes); });
  if (count < 0) throw_errno(errno, "write", std::to_string(fd));
  return static_cast<std::size_t>(count);
}

bool write_all(int fd, const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = call(Call::write, [&] { return ::write(fd, next, bytes); });
    if (count >= 0) {
      next += count;
      bytes -= static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      wait_ready(fd, POLLOUT);
    } else if (errno == EPIPE) {
      return false;
    } else {
      throw_errno(errno, "write", std::to_string(fd));
    }
  }
  return true;
}

std::size_t read_all(int fd, void* data, std::size_t bytes) {
  char* const begin = static_cast<char*>(data);
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t count = call(Call::read, [&] { return ::read(fd, begin + done, bytes - done); });
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0) {
      break;
    } else if (errno == EAGAIN) {
      wait_ready(fd, POLLIN);
    } else {
      throw_errno(errno, "read", std::to_string(fd));
    }
  }
  return done;
}

Fd open_file(const char* path, int flags, unsigned mode) {
  const int fd = call(Call::open, [&] { return ::open(path, flags | O_CLOEXEC, mode); });
  if (fd < 0) throw_errno(errno, "open", path);
  return above_standard_streams(Fd(fd));
}

void set_nonblocking(int fd, bool on) { change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on); }

void set_inheritable(int fd, bool on) { change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, !on); }

}  // namespace brood::os
