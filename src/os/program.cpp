#include "os/program.hpp"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include "os/syscall.hpp"

extern char** environ;

namespace brood::os {

std::vector<std::string> environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

void replace_environment(std::vector<std::string> entries) {
  struct Environment {
    std::vector<std::string> entries;
    std::vector<char*> pointers;
  };
  // Never destroyed: whoever asked getenv() may keep what it answered.
  static Environment& kept = *new Environment;
  kept.entries = std::move(entries);
  kept.pointers.reserve(kept.entries.size() + 1);
  for (std::string& entry : kept.entries) kept.pointers.push_back(entry.data());
  kept.pointers.push_back(nullptr);
  environ = kept.pointers.data();
}

std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return {};
  std::string taken = value;
  ::unsetenv(name);
  return taken;
}

bool has_elevated_rights() noexcept { return ::getauxval(AT_SECURE) != 0; }

Credentials credentials() noexcept { return {::getuid(), ::geteuid(), ::getgid(), ::getegid()}; }

Fd open_working_directory() { return open_file(".", O_PATH | O_DIRECTORY); }

void enter_directory(const Fd& directory) {
  if (call(Call::chdir, [&] { return ::fchdir(directory.get()); }) < 0) {
    throw_errno(errno, "fchdir", std::to_string(directory.get()));
  }
}

Fd open_null() { return open_file("/dev/null", O_RDWR); }

bool is_open(int fd) noexcept { return ::fcntl(fd, F_GETFD) >= 0; }

bool is_inheritable(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

void replace_fd(int source, int target) {
  if (call(Call::dup, [&] { return ::dup2(source, target); }) < 0) {
    throw_errno(errno, "dup2", std::to_string(source) + ", " + std::to_string(target));
  }
}

std::vector<int> ignored_signals() {
  std::vector<int> ignored;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) < 0 || (action.sa_flags & SA_SIGINFO) != 0) continue;
    if (action.sa_handler == SIG_IGN) ignored.push_back(signal);
  }
  return ignored;
}

}  // namespace brood::os
