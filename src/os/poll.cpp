#include "os/poll.hpp"

#include <poll.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

int wait_for_events(std::span<pollfd> raw, Deadline deadline) {
  return call(Call::poll, [&] {
    const std::int64_t left = deadline.remaining_ns();
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    return ::ppoll(raw.data(), static_cast<nfds_t>(raw.size()), deadline.is_never() ? nullptr : &timeout, nullptr);
  });
}

void report(PollItem& item, short events) {
  if ((events & POLLNVAL) != 0) throw_errno(EBADF, "poll", std::to_string(item.fd));
  item.hangup = (events & (POLLHUP | POLLERR)) != 0;
  item.readable = item.want_read && (events & (POLLIN | POLLHUP | POLLERR)) != 0;
  item.writable = item.want_write && (events & (POLLOUT | POLLERR)) != 0;
}

}  // namespace

std::size_t poll(std::span<PollItem> items, Deadline deadline) {
  std::array<pollfd, 16> few{};
  std::vector<pollfd> many;
  std::span<pollfd> raw(few.data(), items.size());
  if (items.size() > few.size()) {
    many.resize(items.size());
    raw = many;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int events = (items[i].want_read ? POLLIN : 0) | (items[i].want_write ? POLLOUT : 0);
    raw[i] = pollfd{items[i].fd, static_cast<short>(events), 0};
  }
  const int ready = wait_for_events(raw, deadline);
  if (ready < 0) throw_errno(errno, "poll", std::to_string(items.size()) + " descriptors");
  for (std::size_t i = 0; i < items.size(); ++i) report(items[i], raw[i].revents);
  return static_cast<std::size_t>(ready);
}

bool wait_readable(int fd, Deadline deadline) {
  PollItem item{.fd = fd};
  return poll(std::span(&item, 1), deadline) != 0;
}

}  // namespace brood::os
