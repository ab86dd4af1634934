#include "os/output.hpp"

#include <stdio_ext.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "os/syscall.hpp"

namespace brood::os {

void flush_task_output() noexcept {
  // Only std::cout with sync_with_stdio(false) has a buffer of its own.
  const std::streambuf* const buffer = std::cout.rdbuf();
  struct Pending : std::streambuf {
    using std::streambuf::pbase;
    using std::streambuf::pptr;
    static bool any(const std::streambuf* of) {
      constexpr auto begin = &Pending::pbase;
      constexpr auto at = &Pending::pptr;
      return (of->*at)() != (of->*begin)();
    }
  };
  try {
    if (buffer != nullptr && Pending::any(buffer)) std::cout.flush();
  } catch (...) {
    // A stream that throws on failure: the failure is the stream's, not the task's.
  }
#ifdef __GLIBC__
  // What __fpending() looks at, without the call: this runs after every task.
  const bool pending = stdout->_IO_write_ptr != stdout->_IO_write_base;
#else
  const bool pending = __fpending(stdout) > 0;
#endif
  if (pending) std::fflush(stdout);
}

void write_line_to_stderr(const std::string& line) noexcept {
  try {
    const std::string whole = line + "\n";
    call(Call::write, [&] { return ::write(STDERR_FILENO, whole.data(), whole.size()); });
  } catch (...) {
    // No memory for a message: there is nobody left to tell.
  }
}

}  // namespace brood::os
