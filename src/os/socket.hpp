// A pair of sockets that keeps message boundaries and carries descriptors.
//
// Thread safety: a message is sent or received whole. Across fork: both processes hold both ends unless they close one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "os/fd.hpp"

namespace brood::os {

// The most descriptors in one message (the kernel's SCM_MAX_FD).
inline constexpr std::size_t kMaxMessageFds = 253;

// The number by which the kernel knows the socket, the same in every process that has it; 0: it is none.
std::uint64_t socket_number(int fd) noexcept;

// Two connected AF_UNIX sockets of type SOCK_SEQPACKET.
std::pair<Fd, Fd> socket_pair();

// Sends one message with copies of `fds`, waiting for room unless the socket is non-blocking (then EAGAIN is thrown).
// False when the peer is gone; never raises SIGPIPE. An empty message would look like the end: it is EINVAL.
bool send_message(int fd, std::span<const std::byte> message, std::span<const int> fds = {});

// Waits for a message and tells how long it is, without taking it; 0 when the peer is gone.
std::size_t next_message_size(int fd);

enum class Received { message, end, nothing };

// Receives one message into `buffer`: its `length`, and the descriptors that came with it (close-on-exec, appended to
// `fds`). `end`: the peer is gone. `nothing`: !wait and none has arrived. A message longer than the buffer, or whose
// descriptors did not fit into this process (EMFILE), is lost and thrown as std::system_error.
Received receive_message(int fd, std::span<std::byte> buffer, std::size_t& length, std::vector<Fd>& fds, bool wait);

}  // namespace brood::os
