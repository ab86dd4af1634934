#include "os/poll_set.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <string>

#include "os/syscall.hpp"

namespace brood::os {

PollSet PollSet::make() {
  const int fd = call(Call::poll, [] { return ::epoll_create1(EPOLL_CLOEXEC); });
  if (fd < 0) throw_errno(errno, "epoll_create1");
  return PollSet(above_standard_streams(Fd(fd)));
}

void PollSet::add(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (call(Call::poll, [&] { return ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event); }) < 0) {
    throw_errno(errno, "epoll_ctl", "EPOLL_CTL_ADD, " + std::to_string(fd));
  }
}

}  // namespace brood::os
