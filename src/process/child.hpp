// The life of a child, from the moment that it knows what it is to its end.
#pragma once

#include <brood/process.hpp>

#include <sys/types.h>

#include "process/registry.hpp"

namespace brood::proc {

// In the parent before the first start, and in a process that inherits nothing: what a child must not do itself, since
// another thread of its parent may have held a lock for it.
void prepare_for_children();

struct Birth {
  pid_t parent_pid = 0;
  bool by_main_thread = false;  // of the parent
};

// In a child of fork: runs `process.run()` and ends this process.
[[noreturn]] void run_child(Process& process, ProcessState& state, const Birth& birth) noexcept;

// In a process that inherits nothing: it is `state` from now on. The result is its end of the lifeline, or -1.
int settle(ProcessState& state);
// Then: runs `body` and ends the process, as a program does (static objects and all) when it is one of its own, else as
// a child of fork does. `state.body` is null.
[[noreturn]] void run_body(detail::ProcessBody& body, ProcessState& state, bool own_program) noexcept;

}  // namespace brood::proc
