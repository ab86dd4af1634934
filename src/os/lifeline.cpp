#include "os/lifeline.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "os/poll.hpp"
#include "os/syscall.hpp"

namespace brood::os {

Lifeline make_lifeline() {
  int ends[2] = {-1, -1};
  if (call(Call::pipe, [&] { return ::pipe2(ends, O_CLOEXEC); }) < 0) throw_errno(errno, "pipe2");
  Fd reader(ends[0]), writer(ends[1]);
  return {above_standard_streams(std::move(reader)), above_standard_streams(std::move(writer))};
}

void die_at_hangup(int reader) {
  // Signal-driven input with SIGKILL as the signal: nothing is ever written, so the only event is the hangup.
  const auto control = [reader](int command, int value, const char* what) {
    const int result = call(Call::fcntl, [&] { return ::fcntl(reader, command, value); });
    if (result < 0) throw_errno(errno, "fcntl", std::string(what) + ", " + std::to_string(reader));
    return result;
  };
  control(F_SETSIG, SIGKILL, "F_SETSIG");
  control(F_SETOWN, ::getpid(), "F_SETOWN");
  control(F_SETFL, control(F_GETFL, 0, "F_GETFL") | O_ASYNC, "F_SETFL");
  if (wait_readable(reader, Deadline::at(0))) ::_exit(128 + SIGKILL);
}

}  // namespace brood::os
