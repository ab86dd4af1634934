#include "process/child.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <typeinfo>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/lifeline.hpp"
#include "os/signals.hpp"
#include "os/stdio.hpp"

namespace brood::proc {
namespace {

constexpr int kStderr = 2;

std::string type_of_current_exception() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "unknown exception";
  int status = 0;
  char* const demangled = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = demangled != nullptr ? demangled : type->name();
  std::free(demangled);
  return name;
}

std::string describe(const std::string& type, const char* text) {
  return text == nullptr || *text == '\0' ? type : type + ": " + text;
}

void append_cause(std::string& text, const std::nested_exception* nested, int depth);

std::string describe_handled(int depth) {
  std::string type = type_of_current_exception();
  try {
    throw;
  } catch (const std::exception& error) {
    std::string text = describe(type, error.what());
    append_cause(text, dynamic_cast<const std::nested_exception*>(&error), depth);
    return text;
  } catch (const Error& error) {
    return describe(type, error.what());
  } catch (const std::string& text) {
    return describe(type, text.c_str());
  } catch (const char* text) {
    return describe(type, text);
  } catch (const std::nested_exception& nested) {
    std::string text = type;
    append_cause(text, &nested, depth);
    return text;
  } catch (...) {
    return type;
  }
}

void append_cause(std::string& text, const std::nested_exception* nested, int depth) {
  constexpr int kMaxDepth = 16;
  if (nested == nullptr || nested->nested_ptr() == nullptr || depth >= kMaxDepth) return;
  try {
    nested->rethrow_nested();
  } catch (...) {
    text += "; caused by " + describe_handled(depth + 1);
  }
}

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

void settle(ProcessState& state, const Birth& birth) {
  const int lifeline = become(state);
  own_record = state.record;
  own_generation = os::fork_generation();
  os::at_exit(record_exit, nullptr);
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

int run_reporting(Process& process, const std::string& name) noexcept {
  try {
    process.run();
    return 0;
  } catch (...) {
    // Without a type it is pthread_exit, which may neither be stopped nor unwind into the copy of the parent's frames.
    if (abi::__cxa_current_exception_type() == nullptr) end(0);
    report(name, "ended by " + describe_current_exception());
    return 1;
  }
}

}  // namespace

std::string describe_current_exception() { return describe_handled(0); }

void run_child(Process& process, ProcessState& state, const Birth& birth) noexcept {
  try {
    settle(state, birth);
    if (!own_record->wait_for_go_ahead(birth.parent_pid)) os::exit_now(1);
  } catch (...) {
    report(state.name, "could not begin: " + describe_current_exception());
    os::exit_now(1);
  }
  const int code = run_reporting(process, state.name);
  // The callable and its arguments are this process's own, so they are destroyed here, as a thread does. Their memory
  // is not given back: that would only copy pages of a heap which ends with the process.
  if (state.body != nullptr) state.body->~ProcessBody();
  end(code);
}

}  // namespace brood::proc
