#include "os/fork.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "os/stdio.hpp"
#include "os/syscall.hpp"

namespace brood::os {
namespace {

// Only ever written by the one thread of a fresh child; threads read it, so it is an atomic.
constinit std::atomic<std::uint64_t> generation = 0;

void count_generations() {
  [[maybe_unused]] static const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
}

// When the library is loaded, so also for children that the program forks without brood.
[[maybe_unused]] const bool registered_at_load = (count_generations(), true);

}  // namespace

pid_t fork_process() {
  count_generations();  // it may be a static object's constructor that forks, before ours have run
  flush_output_before_fork();
  const pid_t pid = call(Call::fork, [] { return ::fork(); });
  if (pid < 0) throw_errno(errno, "fork");
  if (pid == 0) discard_inherited_output();
  return pid;
}

std::uint64_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) {
  if (const int error = ::pthread_atfork(prepare, parent, child); error != 0) throw_errno(error, "pthread_atfork");
}

void at_exit(void (*handler)(int code, void* argument), void* argument) {
  // Unlike atexit's, such a handler is called also when its library has been closed: ours stays.
  Dl_info here{};
  if (::dladdr(reinterpret_cast<const void*>(&at_exit), &here) != 0 && here.dli_fname != nullptr) {
    ::dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
  if (::on_exit(handler, argument) != 0) throw_errno(ENOMEM, "on_exit");
}

void exit_process(int code) noexcept {
  flush_all_output();
  ::_exit(code);
}

pid_t process_id() noexcept { return ::getpid(); }

pid_t parent_process_id() noexcept { return ::getppid(); }

pid_t thread_id() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

bool is_parent(pid_t expected) noexcept {
  const pid_t parent = ::getppid();
  return parent == expected || parent == 0;
}

bool is_single_threaded() noexcept {
  if (__libc_single_threaded != 0) return true;
  // That is only ever cleared. The folder has a link for itself, its parent and each thread.
  struct stat task {};
  return ::stat("/proc/self/task", &task) == 0 && task.st_nlink == 3;
}

void die_with_parent(pid_t expected_parent) {
  if (call(Call::prctl, [] { return ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }) < 0) {
    throw_errno(errno, "prctl", "PR_SET_PDEATHSIG");
  }
  // A parent that ended before the prctl raises no signal any more.
  if (!is_parent(expected_parent)) ::_exit(128 + SIGKILL);
}

void set_process_name(const char* name) {
  if (call(Call::prctl, [&] { return ::prctl(PR_SET_NAME, name, 0, 0, 0); }) < 0) {
    throw_errno(errno, "prctl", "PR_SET_NAME");
  }
}

}  // namespace brood::os
