#include <brood/error.hpp>

#include <cstring>
#include <string>
#include <utility>

namespace brood {
namespace {

// The part of the name that signal.h uses; strsignal() gives prose instead.
const char* signal_name(int signal) {
  static constexpr const char* kNames[] = {
      "0",         "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
      "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
      "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
      "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
  };
  constexpr int kCount = static_cast<int>(sizeof(kNames) / sizeof(kNames[0]));
  if (signal > 0 && signal < kCount) return kNames[signal];
  return signal >= kCount && signal <= 64 ? "a real-time signal" : "unknown";
}

std::string death_text(pid_t pid, int exitcode, std::uint64_t task_index) {
  std::string text = "worker " + std::to_string(pid);
  if (exitcode < 0) {
    text += " was killed by signal " + std::to_string(-exitcode) + " (" + signal_name(-exitcode) + ")";
  } else {
    text += " exited with status " + std::to_string(exitcode);
  }
  return text + " while it ran task " + std::to_string(task_index) + "; other tasks are not affected";
}

}  // namespace

Error::~Error() = default;

WorkerDied::WorkerDied(pid_t pid, int exitcode, std::uint64_t task_index)
    : Failure(death_text(pid, exitcode, task_index)), pid_(pid), exitcode_(exitcode), task_index_(task_index) {}

RemoteError::RemoteError(std::string type_name, std::string message, pid_t pid, std::uint64_t task_index)
    : type_name_(std::move(type_name)), message_(std::move(message)), pid_(pid), task_index_(task_index) {
  what_ = type_name_;
  if (!message_.empty()) what_ += ": " + message_;
  what_ += " (task " + std::to_string(task_index_) + ", worker " + std::to_string(pid_) + ")";
}

}  // namespace brood
