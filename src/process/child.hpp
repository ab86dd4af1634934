// The life of a child of fork, from its first instruction to its end.
#pragma once

#include <brood/process.hpp>

#include <sys/types.h>

#include "process/registry.hpp"

namespace brood::proc {

struct Birth {
  pid_t parent_pid = 0;
  bool by_main_thread = false;  // of the parent
};

// Runs `process.run()` and ends this process.
[[noreturn]] void run_child(Process& process, ProcessState& state, const Birth& birth) noexcept;

// "std::out_of_range: vector::_M_range_check" for the exception being handled, followed by its nested causes.
std::string describe_current_exception();

}  // namespace brood::proc
