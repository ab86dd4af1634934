#include "process/child.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/lifeline.hpp"
#include "os/signals.hpp"
#include "os/stdio.hpp"
#include "wire/exception.hpp"

namespace brood::proc {
namespace {

constexpr int kStderr = 2;

void report(const std::string& name, const std::string& what) noexcept {
  try {
    // A reader of stderr that has gone must not change the exit code. The process ends here, so this stays blocked.
    os::block_signals({SIGPIPE});
    const std::string line = "brood: " + name + " (pid " + std::to_string(os::process_id()) + "): " + what + "\n";
    os::write_all(kStderr, line.data(), line.size());
  } catch (...) {  // stderr is closed: nobody to tell
  }
}

// The record of this process, for std::exit; a child that it forks has inherited the exit handler but not the record.
constinit ExitRecord* own_record = nullptr;
constinit std::uint64_t own_generation = 0;

void record_exit(int code, void*) {
  if (own_record != nullptr && own_generation == os::fork_generation()) own_record->set_code(code);
}

void settle_as_copy(ProcessState& state, const Birth& birth) {
  const int lifeline = settle(state);
  if (!state.daemon) return;
  if (birth.by_main_thread) {
    os::die_with_parent(birth.parent_pid);
  } else {
    os::die_at_hangup(lifeline);
  }
}

[[noreturn]] void end(int code) noexcept {
  os::flush_all_output();
  own_record->set_code(code);
  os::exit_now(code);
}

template <class Run>
int run_reporting(Run&& run, const std::string& name) noexcept {
  try {
    run();
    return 0;
  } catch (...) {
    // Without a type it is pthread_exit, which may neither be stopped nor unwind into the copy of the parent's frames.
    if (abi::__cxa_current_exception_type() == nullptr) end(0);
    report(name, "ended by " + wire::exception_text(std::current_exception()));
    return 1;
  }
}

}  // namespace

void prepare_for_children() { [[maybe_unused]] static const bool done = (os::at_exit(record_exit, nullptr), true); }

int settle(ProcessState& state) {
  const int lifeline = become(state);
  own_record = state.record;
  own_generation = os::fork_generation();
  return lifeline;
}

void run_child(Process& process, ProcessState& state, const Birth& birth) noexcept {
  try {
    settle_as_copy(state, birth);
    if (!own_record->wait_for_go_ahead(birth.parent_pid)) os::exit_now(1);
  } catch (...) {
    report(state.name, "could not begin: " + wire::exception_text(std::current_exception()));
    os::exit_now(1);
  }
  const int code = run_reporting([&] { process.run(); }, state.name);
  // The callable and its arguments are this process's own, so they are destroyed here, as a thread does. Their memory
  // is not given back: that would only copy pages of a heap which ends with the process.
  if (state.body != nullptr) state.body->~ProcessBody();
  end(code);
}

void run_body(detail::ProcessBody& body, ProcessState& state, bool own_program) noexcept {
  const int code = run_reporting([&] { body.run(); }, state.name);
  delete &body;
  if (own_program) std::exit(code);
  end(code);
}

}  // namespace brood::proc
