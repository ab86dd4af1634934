#include "os/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

// Room for one SCM_RIGHTS record of the largest size, aligned as the kernel wants it.
union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(kMaxMessageFds * sizeof(int))];
};

void take_fds(msghdr& header, std::vector<Fd>& fds) {
  for (cmsghdr* record = CMSG_FIRSTHDR(&header); record != nullptr; record = CMSG_NXTHDR(&header, record)) {
    if (record->cmsg_level != SOL_SOCKET || record->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (record->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, kMaxMessageFds> raw{};
    std::memcpy(raw.data(), CMSG_DATA(record), count * sizeof(int));
    std::array<Fd, kMaxMessageFds> owned;  // owned before push_back can throw
    for (std::size_t i = 0; i < count; ++i) owned[i] = Fd(raw[i]);
    for (std::size_t i = 0; i < count; ++i) fds.push_back(above_standard_streams(std::move(owned[i])));
  }
}

}  // namespace

std::pair<Fd, Fd> socket_pair() {
  int ends[2] = {-1, -1};
  if (call(Call::socketpair, [&] { return ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }) < 0) {
    throw_errno(errno, "socketpair", "AF_UNIX, SOCK_SEQPACKET");
  }
  Fd one(ends[0]), other(ends[1]);
  return {above_standard_streams(std::move(one)), above_standard_streams(std::move(other))};
}

std::uint64_t socket_number(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

bool send_message(int fd, std::span<const std::byte> message, std::span<const int> fds) {
  if (message.empty() || fds.size() > kMaxMessageFds) {
    throw_errno(EINVAL, "sendmsg",
                std::to_string(message.size()) + " bytes, " + std::to_string(fds.size()) + " descriptors");
  }
  iovec piece{const_cast<std::byte*>(message.data()), message.size()};
  ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const record = CMSG_FIRSTHDR(&header);
    record->cmsg_level = SOL_SOCKET;
    record->cmsg_type = SCM_RIGHTS;
    record->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(record), fds.data(), fds.size_bytes());
  }
  if (call(Call::sendmsg, [&] { return ::sendmsg(fd, &header, MSG_NOSIGNAL); }) >= 0) return true;
  if (errno == EPIPE || errno == ECONNRESET) return false;
  throw_errno(errno, "sendmsg", std::to_string(fd) + ", " + std::to_string(message.size()) + " bytes");
}

std::size_t next_message_size(int fd) {
  const ssize_t size = call(Call::recvmsg, [&] { return ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC); });
  if (size < 0 && errno != ECONNRESET) throw_errno(errno, "recv", std::to_string(fd));
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

Received receive_message(int fd, std::span<std::byte> buffer, std::size_t& length, std::vector<Fd>& fds, bool wait) {
  length = 0;
  iovec piece{buffer.data(), buffer.size()};
  ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  const int flags = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT);
  const ssize_t count = call(Call::recvmsg, [&] { return ::recvmsg(fd, &header, flags); });
  if (count < 0) {
    if (errno == ECONNRESET) return Received::end;
    if (errno == EAGAIN && !wait) return Received::nothing;
    throw_errno(errno, "recvmsg", std::to_string(fd));
  }
  if (count == 0) return Received::end;
  const std::size_t before = fds.size();
  take_fds(header, fds);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    while (fds.size() > before) fds.pop_back();
    const bool too_long = (header.msg_flags & MSG_TRUNC) != 0;
    throw_errno(too_long ? EMSGSIZE : EMFILE, "recvmsg", std::to_string(fd));
  }
  length = static_cast<std::size_t>(count);
  return Received::message;
}

}  // namespace brood::os
