#include "os/event.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "os/syscall.hpp"

namespace brood::os {

Event::Event() : fd_(call(Call::eventfd, [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); })) {
  if (!fd_) throw_errno(errno, "eventfd");
  fd_ = above_standard_streams(std::move(fd_));
}

void Event::set() noexcept {
  const int saved = errno;  // a signal handler may call this
  const std::uint64_t one = 1;
  // EAGAIN: the counter is full, so the flag is set.
  [[maybe_unused]] const auto written = call(Call::write, [&] { return ::write(fd_.get(), &one, sizeof one); });
  errno = saved;
}

bool Event::clear() noexcept {
  const int saved = errno;
  std::uint64_t count = 0;
  const auto got = call(Call::read, [&] { return ::read(fd_.get(), &count, sizeof count); });
  errno = saved;
  return got == static_cast<ssize_t>(sizeof count);
}

}  // namespace brood::os
