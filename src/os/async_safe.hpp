// Calls that a signal handler, or a child of a threaded program, may make: they allocate nothing, lock nothing, throw
// nothing and keep errno.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>

namespace brood::os {

// SIGKILL to a child that was not reaped yet.
void kill_child(pid_t pid) noexcept;
// Waits for a child that is about to end, so that no zombie stays.
void reap_child(pid_t pid) noexcept;
// SIGKILL through a pidfd; nothing happens when the process is gone.
void kill_pidfd(int pidfd) noexcept;
// Sends the message if there is room for it.
void send_nowait(int socket, std::span<const std::byte> message) noexcept;
// The other side sees the end, whoever else holds copies of this end.
void shut_down(int socket) noexcept;
// Waits until the process has ended, and reaps it if it is a child. False at the deadline (of os::now_ns()).
bool wait_for_exit(int pidfd, std::int64_t deadline_ns) noexcept;
// Blocks every signal for good; for brood's own helper processes.
void block_all_signals() noexcept;
void restore_mask(const sigset_t& mask) noexcept;
// Sets the default action of a signal and returns what it was.
struct sigaction take_default_action(int signal) noexcept;
void restore_action(int signal, const struct sigaction& action) noexcept;
// Ends the process at once: no buffer is flushed, no destructor runs.
[[noreturn]] void exit_now(int code) noexcept;

}  // namespace brood::os
