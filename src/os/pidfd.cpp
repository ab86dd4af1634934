#include "os/pidfd.hpp"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>

#include "os/poll.hpp"
#include "os/syscall.hpp"

namespace brood::os {
namespace {

// P_PIDFD and PIDFD_GET_INFO by value: the headers of older systems have neither.
constexpr int kWaitPidfd = 3;

struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t ids[11];  // pid, tgid, ppid and the credentials
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t kPidfdInfoExit = 1 << 3;

int raw_wait(int kind, int id, siginfo_t& info, rusage& usage) {
  info = siginfo_t{};
  usage = rusage{};
  // The system call, not waitid(3): only it also tells the resources used.
  return static_cast<int>(
      call(Call::waitid, [&] { return ::syscall(SYS_waitid, kind, id, &info, WEXITED | WNOHANG, &usage); }));
}

ExitStatus to_status(const siginfo_t& info, const rusage& usage) {
  ExitStatus status;
  status.code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
  status.core = info.si_code == CLD_DUMPED;
  status.max_rss_kib = usage.ru_maxrss;
  return status;
}

// The end of a process that is not (or no longer) ours to reap.
ExitStatus status_without_reaping(int pidfd) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  ExitStatus status;
  const int result = call(Call::ioctl, [&] { return ::ioctl(pidfd, kPidfdGetInfo, &info); });
  status.known = result == 0 && (info.mask & kPidfdInfoExit) != 0;
  if (!status.known) return status;
  status.code = WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : -WTERMSIG(info.exit_code);
  status.core = WIFSIGNALED(info.exit_code) && WCOREDUMP(info.exit_code);
  return status;
}

}  // namespace

Fd open_pidfd(pid_t pid) {
  const long fd = call(Call::pidfd_open, [&] { return ::syscall(SYS_pidfd_open, pid, 0); });
  if (fd < 0) throw_errno(errno, "pidfd_open", std::to_string(pid));
  return above_standard_streams(Fd(static_cast<int>(fd)));
}

bool send_signal(const Fd& pidfd, int signal) {
  const long result =
      call(Call::pidfd_send_signal, [&] { return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0); });
  if (result == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno(errno, "pidfd_send_signal", std::to_string(pidfd.get()) + ", " + std::to_string(signal));
}

std::optional<ExitStatus> try_wait(const Fd& pidfd) {
  siginfo_t info;
  rusage usage;
  if (raw_wait(kWaitPidfd, pidfd.get(), info, usage) == 0) {
    if (info.si_pid == 0) return std::nullopt;
    return to_status(info, usage);
  }
  if (errno != ECHILD) throw_errno(errno, "waitid", "P_PIDFD, " + std::to_string(pidfd.get()));
  // Not our child: reaped by somebody else, or this is a forked copy of the parent. The pidfd tells whether it runs.
  if (!wait_readable(pidfd.get(), Deadline::at(0))) return std::nullopt;
  return status_without_reaping(pidfd.get());
}

std::optional<ExitStatus> wait(const Fd& pidfd, Deadline deadline) {
  for (;;) {
    if (!wait_readable(pidfd.get(), deadline)) return std::nullopt;
    if (auto status = try_wait(pidfd)) return status;
  }
}

void reap(pid_t child) {
  siginfo_t info;
  const long result = call(Call::waitid, [&] { return ::syscall(SYS_waitid, P_PID, child, &info, WEXITED, nullptr); });
  if (result < 0 && errno != ECHILD) throw_errno(errno, "waitid", "P_PID, " + std::to_string(child));
}

std::optional<std::pair<pid_t, ExitStatus>> try_wait_any() {
  siginfo_t info;
  rusage usage;
  if (raw_wait(P_ALL, 0, info, usage) == 0) {
    if (info.si_pid == 0) return std::nullopt;
    return std::pair(info.si_pid, to_status(info, usage));
  }
  if (errno == ECHILD) return std::nullopt;
  throw_errno(errno, "waitid", "P_ALL");
}

}  // namespace brood::os
