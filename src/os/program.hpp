// The running program: its environment, working directory and privileges, for processes that begin it afresh.
//
// Thread safety: as environ and the working directory themselves, which belong to the whole process; see each function.
// Across fork: the child has its own copy of all of it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "os/fd.hpp"

namespace brood::os {

// "NAME=value" of every variable. Nobody may change the environment meanwhile.
std::vector<std::string> environment();
// Replaces all of it. Only while the process has one thread; once at most.
void replace_environment(std::vector<std::string> entries);
// Removes the variable and returns what it was, empty when it was not set. Only while the process has one thread.
std::string take_variable(const char* name);

// Whether the program runs with more rights than its user has (setuid, capabilities): what that user hands over, the
// environment for one, must not be trusted.
bool has_elevated_rights() noexcept;

// Who the process is to the system, to see that it has changed. Thread safety: all.
struct Credentials {
  uid_t user, effective_user;
  gid_t group, effective_group;
  bool operator==(const Credentials&) const = default;
};
Credentials credentials() noexcept;

// The working directory as a descriptor; good for enter_directory() only. Thread safety: all.
Fd open_working_directory();
void enter_directory(const Fd& directory);

bool is_open(int fd) noexcept;
// Whether it is open, and would be in a program started from here.
bool is_inheritable(int fd) noexcept;
// /dev/null, for reading and writing.
Fd open_null();
// `target` becomes another descriptor of what `source` is, for this process and the programs it starts.
void replace_fd(int source, int target);

// The signals that are ignored now. Thread safety: all.
std::vector<int> ignored_signals();

}  // namespace brood::os
