// What errors say about processes. Thread safety: functions without state. Across fork: nothing to do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace brood::wire {

// "exited with status 3" or "was killed by signal 9 (SIGKILL)", for an exit code as Process::exitcode() gives it.
std::string exit_text(int exitcode);

// "(task 7, worker 1234)": where an exception comes from, as RemoteError says it.
std::string origin_text(std::uint64_t task_index, pid_t worker);

}  // namespace brood::wire
