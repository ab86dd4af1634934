// Starting a program.
//
// The cost does not depend on the size of this process: the child borrows its memory until the exec, as with vfork.
// Between the two it only makes system calls on data that was prepared before.
//
// Thread safety: all. Across fork: a Spawned is as good as its pidfd: the child's copy can signal but not reap.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.hpp"

namespace brood::os {

struct SpawnFd {
  int target = -1;  // the number in the program
  int source = -1;  // the descriptor here; may be the same number
};

struct SpawnLimit {
  int resource = 0;  // RLIMIT_...
  std::uint64_t soft = 0, hard = 0;
};

// What is not set is inherited.
struct SpawnOptions {
  std::vector<std::string> args = {};  // at least one
  std::string program = {};            // empty: args[0]; without a slash it is looked up in the PATH of the program
  std::optional<std::vector<std::string>> env = {};  // "NAME=value"
  std::string cwd = {};                              // a relative program is relative to it
  std::vector<SpawnFd> fds = {};
  bool close_others = true;  // everything above 2 that is not a target above, whoever opened it
  bool new_session = false;
  std::optional<pid_t> process_group = {};  // 0: a new one
  std::optional<mode_t> umask = {};
  std::optional<std::vector<gid_t>> groups = {};  // supplementary
  std::optional<gid_t> group = {};
  std::optional<uid_t> user = {};
  std::vector<SpawnLimit> limits = {};
  std::vector<int> default_signals = {};  // ignored here, default there (SIGPIPE, for example)
  bool clear_signal_mask = false;
  int parent_death_signal = 0;  // sent when the calling *thread* ends
};

struct Spawned {
  pid_t pid = -1;
  Fd pidfd;
};

// Throws std::system_error that names the step that failed: "chdir(/nowhere)", "execve(/bin/nothing)", ...; then no
// process is left. Throws EINVAL without arguments or when a string holds a NUL.
Spawned spawn(const SpawnOptions& options);

}  // namespace brood::os
