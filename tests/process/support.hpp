// What the tests of processes share.
#pragma once

#include <brood/process.hpp>

#include <string>

#include "os/fd.hpp"
#include "os/lifeline.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::proc::testing {

using os::testing::count_fds;
using os::testing::eventually;
using os::testing::exit_code_of;
using os::testing::Fault;
using os::testing::fork_child;
using os::testing::run_in_child;

using namespace std::chrono_literals;

// Two ends of a pipe that children inherit.
struct Pipe {
  Pipe() {
    os::Lifeline ends = os::make_lifeline();
    reader = std::move(ends.reader);
    writer = std::move(ends.writer);
  }

  void put(const std::string& text) const { os::write_all(writer.get(), text.data(), text.size()); }
  template <class T>
  void put_value(const T& value) const {
    os::write_all(writer.get(), &value, sizeof value);
  }
  template <class T>
  T get_value() const {
    T value{};
    EXPECT_EQ(os::read_all(reader.get(), &value, sizeof value), sizeof value);
    return value;
  }
  // Everything until the last writer is gone.
  std::string rest() {
    writer.reset();
    std::string text;
    char buffer[4096];
    while (const std::size_t got = os::read_some(reader.get(), buffer, sizeof buffer)) text.append(buffer, got);
    return text;
  }

  os::Fd reader, writer;
};

[[noreturn]] inline void run_for_ever() {
  for (;;) ::pause();
}

// Whether this process has a child, running or not.
inline bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// Starts `f`, waits, and returns the exit code.
template <class F>
int exit_code_of_process(F&& f) {
  Process process(std::forward<F>(f));
  process.start();
  process.join();
  return process.exitcode().value();
}

// The first start of a program opens the file of exit records, which stays: for tests that count descriptors or make
// calls fail.
inline void keep_records_open() {
  exit_code_of_process([] {});
}

// The text of the ProcessError that `f` throws.
template <class F>
std::string misuse_of(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const ProcessError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// What processes started by `f` print on stderr. `f` runs in a process of its own.
template <class F>
std::string stderr_of(F&& f) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), 2);
    f();
    return 0;
  });
  std::string text = pipe.rest();
  EXPECT_EQ(exit_code_of(pid), 0);
  return text;
}

}  // namespace brood::proc::testing
