// What the tests of the kernel wrappers share: faults on demand, children, and a look at this process from outside.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "os/fork.hpp"
#include "os/syscall.hpp"

namespace brood::os::testing {

// Makes system call `id` fail with `error`: the `nth` one from now on (1 is the next), `count` times.
class Fault {
 public:
  Fault(Call id, int error, int nth = 1, int count = 1) {
    id_ = id;
    error_ = error;
    before_ = nth - 1;
    left_ = count;
    hits_ = 0;
    fault_injector = &decide;
  }
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
  ~Fault() { fault_injector = nullptr; }

  // How often the call was asked for, failed or not.
  int hits() const { return hits_; }

 private:
  static int decide(Call id) noexcept {
    if (id != id_) return 0;
    ++hits_;
    if (before_ > 0) {
      --before_;
      return 0;
    }
    if (left_ <= 0) return 0;
    --left_;
    return error_;
  }

  static inline std::atomic<Call> id_{};
  static inline std::atomic<int> error_{0}, before_{0}, left_{0}, hits_{0};
};

// The errno that `f` throws as a system_error, 0 when it throws nothing.
template <class F>
int error_of(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

template <class F>
std::string message_of(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline int count_fds() {
  int count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

inline bool is_close_on_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

// Waits, for a minute if need be, until `condition()` holds.
template <class F>
bool eventually(F&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Runs `f` in a child of a plain fork, which ends with what it returns. No exception may leave it.
template <class F>
pid_t fork_child(F&& f) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::_exit(f());
}

// The exit status of a child, -N for signal N.
inline int exit_code_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1000;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

template <class F>
int run_in_child(F&& f) {
  return exit_code_of(fork_child(std::forward<F>(f)));
}

// Whether the tools this was built with (ThreadSanitizer) run threads of their own in every process.
inline bool has_threads_of_tools() {
  return run_in_child([] { return is_single_threaded() ? 0 : 1; }) != 0;
}

}  // namespace brood::os::testing
