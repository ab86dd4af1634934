#include "os/spawn.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "os/memory.hpp"
#include "os/pidfd.hpp"
#include "os/signals.hpp"
#include "os/syscall.hpp"

extern char** environ;

// clone(2) by the name that the ThreadSanitizer leaves alone: its own is not made for children that borrow the memory.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" int __clone(int (*)(void*), void*, int, void*, ...);

namespace brood::os {
namespace {

constexpr std::size_t kChildStackBytes = 128 * 1024;
constexpr unsigned kCloseRangeCloexec = 1U << 2;  // CLOSE_RANGE_CLOEXEC

// Everything the child needs, made before it exists. The child writes only `failed_*` and `high_fds`.
struct Plan {
  const SpawnOptions* options = nullptr;
  std::vector<const char*> argv, envp;
  std::vector<std::string> programs;  // to be tried in this order
  std::vector<int> high_fds;
  int lowest_free_fd = 0;
  int open_max = 0;
  sigset_t mask{};
  pid_t parent = 0;

  int failed_errno = 0;
  const char* failed_call = nullptr;
  long failed_argument = 0;
  const char* failed_text = nullptr;
};

// As the kernel has it. SIG_DFL, no flags, no mask.
struct KernelAction {
  void* handler = nullptr;
  unsigned long flags = 0;
  void* restorer = nullptr;
  std::uint64_t mask = 0;
};

// Remembers the first failure; false, so that the steps can be joined by &&.
bool failed(Plan& plan, const char* call, long argument, const char* text = nullptr) {
  plan.failed_errno = errno;
  plan.failed_call = call;
  plan.failed_argument = argument;
  plan.failed_text = text;
  return false;
}

// The plain system call: what may stand in between, a sanitizer for one, would note for the parent what the child does.
int raw(long number, auto... arguments) { return static_cast<int>(::syscall(number, arguments...)); }

bool move_fds(Plan& plan) {
  const std::vector<SpawnFd>& fds = plan.options->fds;
  // Two steps, since the target of one may be the source of another.
  for (std::size_t i = 0; i < fds.size(); ++i) {
    plan.high_fds[i] =
        call(Call::dup, [&] { return raw(SYS_fcntl, fds[i].source, F_DUPFD_CLOEXEC, plan.lowest_free_fd); });
    if (plan.high_fds[i] < 0) return failed(plan, "dup", fds[i].source);
  }
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (call(Call::dup, [&] { return raw(SYS_dup3, plan.high_fds[i], fds[i].target, 0); }) < 0) {
      return failed(plan, "dup2", fds[i].target);
    }
  }
  return true;
}

bool close_others(Plan& plan) {
  if (!plan.options->close_others) return true;
  if (::syscall(SYS_close_range, 3U, ~0U, kCloseRangeCloexec) < 0) {  // before Linux 5.11
    for (int fd = 3; fd < plan.open_max; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (const SpawnFd& fd : plan.options->fds) {
    if (fd.target > 2 && call(Call::fcntl, [&] { return ::fcntl(fd.target, F_SETFD, 0); }) < 0) {
      return failed(plan, "fcntl", fd.target);
    }
  }
  return true;
}

bool set_session(Plan& plan) {
  const SpawnOptions& options = *plan.options;
  if (options.new_session && call(Call::set_credentials, [] { return ::setsid(); }) < 0) {
    return failed(plan, "setsid", 0);
  }
  if (options.process_group && call(Call::set_credentials, [&] { return ::setpgid(0, *options.process_group); }) < 0) {
    return failed(plan, "setpgid", *options.process_group);
  }
  return true;
}

bool set_limits(Plan& plan) {
  for (const SpawnLimit& limit : plan.options->limits) {
    const rlimit value{limit.soft, limit.hard};
    if (call(Call::setrlimit, [&] { return ::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value); }) <
        0) {
      return failed(plan, "setrlimit", limit.resource);
    }
  }
  return true;
}

// The plain system calls: the C library's functions would tell the other threads of the parent, whose memory this is.
bool set_user(Plan& plan) {
  const SpawnOptions& options = *plan.options;
  const auto change = [](long number, auto... arguments) {
    return call(Call::set_credentials, [&] { return ::syscall(number, arguments...); });
  };
  if (options.groups && change(SYS_setgroups, options.groups->size(), options.groups->data()) < 0) {
    return failed(plan, "setgroups", static_cast<long>(options.groups->size()));
  }
  if (options.group && change(SYS_setgid, *options.group) < 0) return failed(plan, "setgid", *options.group);
  if (options.user && change(SYS_setuid, *options.user) < 0) return failed(plan, "setuid", *options.user);
  return true;
}

bool set_parent_death_signal(Plan& plan) {
  const int signal = plan.options->parent_death_signal;
  if (signal == 0) return true;
  if (call(Call::prctl, [&] { return ::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }) < 0) {
    return failed(plan, "prctl", signal);
  }
  if (::getppid() != plan.parent) ::_exit(128 + signal);
  return true;
}

bool set_signals(Plan& plan) {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) < 0) continue;
    const bool informed = (action.sa_flags & SA_SIGINFO) != 0;
    if (!informed && action.sa_handler == SIG_DFL) continue;
    const bool caught = informed || action.sa_handler != SIG_IGN;
    const std::vector<int>& chosen = plan.options->default_signals;
    if (!caught && std::find(chosen.begin(), chosen.end(), signal) == chosen.end()) continue;
    // A handler must not run once the mask is lifted: it would run in the parent's memory.
    // (The plain system call: what stands in between, a sanitizer for one, would note it for the parent.)
    const KernelAction plain;
    if (call(Call::sigaction, [&] { return ::syscall(SYS_rt_sigaction, signal, &plain, nullptr, sizeof plain.mask); }) <
        0) {
      return failed(plan, "sigaction", signal);
    }
  }
  if (plan.options->clear_signal_mask) sigemptyset(&plan.mask);
  ::pthread_sigmask(SIG_SETMASK, &plan.mask, nullptr);
  return true;
}

bool enter_cwd(Plan& plan) {
  const char* const cwd = plan.options->cwd.c_str();
  if (*cwd == '\0') return true;
  return call(Call::chdir, [&] { return ::chdir(cwd); }) == 0 || failed(plan, "chdir", 0, cwd);
}

bool execute(Plan& plan) {
  // As a shell does: go on along the PATH, and remember a file that was there but could not be run.
  const char* refused = nullptr;
  for (const std::string& program : plan.programs) {
    call(Call::execve, [&] {
      return ::execve(program.c_str(), const_cast<char**>(plan.argv.data()), const_cast<char**>(plan.envp.data()));
    });
    if (errno == EACCES && refused == nullptr) refused = program.c_str();
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return failed(plan, "execve", 0, program.c_str());
  }
  if (refused != nullptr) {
    errno = EACCES;
    return failed(plan, "execve", 0, refused);
  }
  // Nowhere: the name that was asked for says more than the last place.
  const std::string& asked = plan.options->program;
  return failed(plan, "execve", 0, asked.empty() ? plan.argv.front() : asked.c_str());
}

int run_child(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  if (plan.options->umask) ::umask(*plan.options->umask);
  (void)(set_session(plan) && enter_cwd(plan) && move_fds(plan) && set_limits(plan) && set_user(plan) &&
         set_parent_death_signal(plan) && close_others(plan) && set_signals(plan) && execute(plan));
  ::_exit(127);
}

void check_strings(const std::vector<std::string>& strings) {
  for (const std::string& text : strings) {
    if (text.find('\0') != std::string::npos) throw_errno(EINVAL, "execve", text.c_str());
  }
}

std::string path_variable(const SpawnOptions& options) {
  if (!options.env) {
    const char* const path = std::getenv("PATH");
    return path == nullptr ? "/bin:/usr/bin" : path;
  }
  for (const std::string& entry : *options.env) {
    if (entry.compare(0, 5, "PATH=") == 0) return entry.substr(5);
  }
  return "/bin:/usr/bin";
}

std::vector<std::string> candidates(const SpawnOptions& options) {
  const std::string& name = options.program.empty() ? options.args.front() : options.program;
  if (name.empty() || name.find('/') != std::string::npos) return {name};
  std::vector<std::string> result;
  const std::string path = path_variable(options);
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string directory = path.substr(begin, end - begin);
    result.push_back(directory.empty() ? name : directory + "/" + name);
    begin = end + 1;
  }
  return result;
}

Plan make_plan(const SpawnOptions& options) {
  if (options.args.empty()) throw_errno(EINVAL, "execve", "no arguments");
  check_strings(options.args);
  check_strings({options.program, options.cwd});
  if (options.env) check_strings(*options.env);
  Plan plan;
  plan.options = &options;
  for (const std::string& arg : options.args) plan.argv.push_back(arg.c_str());
  plan.argv.push_back(nullptr);
  if (options.env) {
    for (const std::string& entry : *options.env) plan.envp.push_back(entry.c_str());
  } else {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) plan.envp.push_back(*entry);
  }
  plan.envp.push_back(nullptr);
  plan.programs = candidates(options);
  plan.high_fds.resize(options.fds.size(), -1);
  for (const SpawnFd& fd : options.fds) plan.lowest_free_fd = std::max(plan.lowest_free_fd, fd.target + 1);
  plan.lowest_free_fd = std::max(plan.lowest_free_fd, 3);
  plan.open_max = static_cast<int>(std::clamp(::sysconf(_SC_OPEN_MAX), 256L, 65536L));
  plan.parent = ::getpid();
  return plan;
}

}  // namespace

Spawned spawn(const SpawnOptions& options) {
  Plan plan = make_plan(options);
  const Mapping stack = Mapping::anonymous_private(kChildStackBytes);
  Spawned child;
  {
    // No handler of the program may run in the child while it borrows this memory.
    const SignalMask all_blocked;
    plan.mask = all_blocked.previous();
    int pidfd = -1;
    child.pid = call(Call::clone, [&] {
      return __clone(run_child, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan,
                     &pidfd);
    });
    if (child.pid < 0) throw_errno(errno, "clone", options.args.front());
    child.pidfd = Fd(pidfd);
  }
  if (plan.failed_call == nullptr) {
    if (child.pidfd.get() > STDERR_FILENO) return child;
    try {
      child.pidfd = above_standard_streams(std::move(child.pidfd));
    } catch (...) {
      send_signal(child.pidfd, SIGKILL);
      wait(child.pidfd, Deadline::never());
      throw;
    }
    return child;
  }
  wait(child.pidfd, Deadline::never());
  const std::string argument = plan.failed_text != nullptr ? plan.failed_text : std::to_string(plan.failed_argument);
  throw_errno(plan.failed_errno, plan.failed_call, argument);
}

}  // namespace brood::os
