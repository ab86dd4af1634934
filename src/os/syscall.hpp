// The one way brood calls the kernel: it retries EINTR, and it lets a test make any call fail.
//
// A failure is reported as `std::system_error` whose text is "call(argument): what errno means".
//
// Thread safety: all functions may be called from any thread. Across fork: an installed injector stays installed.
#pragma once

#include <atomic>
#include <cerrno>
#include <string_view>
#include <type_traits>

namespace brood::os {

// Every kind of system call that brood makes, as the fault injector names them.
enum class Call : unsigned char {
  chdir,
  clone,
  close,
  dup,
  eventfd,
  execve,
  fcntl,
  fork,
  ftruncate,
  futex,
  ioctl,
  madvise,
  memfd_create,
  mmap,
  open,
  pidfd_open,
  pidfd_send_signal,
  pipe,
  poll,
  prctl,
  read,
  recvmsg,
  sched_getaffinity,
  sendmsg,
  set_credentials,  // setsid, setpgid, setgroups, setgid, setuid
  setrlimit,
  sigaction,
  sigmask,
  signalfd,
  socketpair,
  waitid,
  write,
  kCount
};

// Throws std::system_error(error) with the text "call(argument)".
[[noreturn]] void throw_errno(int error, std::string_view call, std::string_view argument = {});

// Asked before every system call: the errno it shall fail with, or 0 to let it happen. For tests.
using FaultInjector = int (*)(Call) noexcept;
inline constinit std::atomic<FaultInjector> fault_injector{nullptr};

inline int injected_fault(Call id) noexcept {
  const FaultInjector injector = fault_injector.load(std::memory_order_relaxed);
  return injector == nullptr ? 0 : injector(id);
}

// What a system call returns when it failed: -1, or MAP_FAILED for one that returns an address.
template <class Result>
Result failed_result() noexcept {
  if constexpr (std::is_pointer_v<Result>) {
    return reinterpret_cast<Result>(-1);
  } else {
    return static_cast<Result>(-1);
  }
}

// Makes the system call `f()` once; for calls whose EINTR means something to the caller.
template <class F>
auto call_once(Call id, F&& f) -> decltype(f()) {
  if (const int error = injected_fault(id); error != 0) [[unlikely]] {
    errno = error;
    return failed_result<decltype(f())>();
  }
  return f();
}

// Makes the system call `f()`, again for as long as a signal interrupts it. `f` is evaluated afresh each time, so a
// remaining time belongs inside it. Returns what the call returned; errno says why it failed.
template <class F>
auto call(Call id, F&& f) -> decltype(f()) {
  for (;;) {
    const auto result = call_once(id, f);
    if (result != failed_result<decltype(f())>() || errno != EINTR) return result;
  }
}

}  // namespace brood::os
