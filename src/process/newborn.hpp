// The first steps of a process that inherits nothing: it waits for its letter and becomes what that says.
#pragma once

#include "process/introduction.hpp"

namespace brood::proc {

enum class Origin {
  exec,         // the program begun afresh: all of the process is its own
  fork_server,  // a copy of the server
};

[[noreturn]] void begin_life(Caller caller, Origin origin) noexcept;

}  // namespace brood::proc
