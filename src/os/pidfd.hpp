// A process as a descriptor: it can be polled, signalled and reaped without ever meeting a reused pid.
//
// SIGCHLD is not touched. When somebody else reaps the child (a `waitpid(-1)` in the program, or SIGCHLD ignored), the
// end is still seen; the code then comes from the kernel where it keeps it (Linux 6.15), otherwise it is not known.
//
// Thread safety: all. Across fork: a child may poll and signal through its copy, but not reap: there try_wait() says
// that a process has ended without knowing its code.
#pragma once

#include <sys/types.h>

#include <optional>
#include <utility>

#include "os/clock.hpp"
#include "os/fd.hpp"

namespace brood::os {

struct ExitStatus {
  int code = 0;          // the exit status, or -N when signal N ended it
  bool core = false;     // a core was written
  long max_rss_kib = 0;  // 0 when not known
  bool known = true;     // false: somebody else reaped it and took the code with him; `code` means nothing
};

// Throws std::system_error; ESRCH when there is no such process (any more).
Fd open_pidfd(pid_t pid);

// False when the process has ended (it may not have been reaped yet, then the signal does nothing and this is true).
bool send_signal(const Fd& pidfd, int signal);

// Reaps a child that has ended; nothing while it runs.
std::optional<ExitStatus> try_wait(const Fd& pidfd);

// Waits for the end, then reaps; nothing when the deadline has passed.
std::optional<ExitStatus> wait(const Fd& pidfd, Deadline deadline);

// Waits for a child without a pidfd, which must be about to end; nothing when somebody else reaped it.
void reap(pid_t child);

// Reaps any child that has ended. Only for brood's own helper processes, whose every child is brood's.
std::optional<std::pair<pid_t, ExitStatus>> try_wait_any();

}  // namespace brood::os
