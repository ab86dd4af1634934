#include "wire/exit_text.hpp"

#include <brood/error.hpp>

namespace brood::wire {
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

}  // namespace

std::string exit_text(int exitcode) {
  if (exitcode >= 0) return "exited with status " + std::to_string(exitcode);
  return "was killed by signal " + std::to_string(-exitcode) + " (" + signal_name(-exitcode) + ")";
}

std::string origin_text(std::uint64_t task_index, pid_t worker) {
  const std::string place =
      task_index == RemoteError::kInitializer ? "the pool's initializer" : "task " + std::to_string(task_index);
  return "(" + place + ", worker " + std::to_string(worker) + ")";
}

}  // namespace brood::wire
