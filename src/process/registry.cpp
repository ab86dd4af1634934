#include "process/registry.hpp"

#include <utility>

#include "os/fork.hpp"
#include "os/pidfd.hpp"

namespace brood::proc {
namespace {

// Never destroyed: handles may be statics, and detached threads outlive main().
constinit std::mutex mutex;
constinit ProcessState* oldest = nullptr;
constinit ProcessState* newest = nullptr;
constinit unsigned identities_given = 0;

thread_local constinit ProcessState* starting = nullptr;

// The end that this process dies by; of no use to a child of its own.
constinit os::Fd own_lifeline;

// Who this process is: what its parent's handle says; null when brood did not start it. Written by the child before it
// runs anything else, then constant.
constinit const ProcessState* self = nullptr;

// In the child of any fork: the registered processes are the parent's children. Their descriptors are of no use here,
// and a lifeline held open here would keep a daemon alive.
void empty_registry_in_child() noexcept {
  for (ProcessState* state = oldest; state != nullptr;) {
    ProcessState* const next = state->next;
    state->pidfd.reset();
    state->lifeline.writer.reset();
    if (state != starting) state->lifeline.reader.reset();
    state->previous = state->next = nullptr;
    state = next;
  }
  oldest = newest = nullptr;
  own_lifeline.reset();
  ExitRecord::forget_all();
}

void register_fork_handlers() {
  static const bool done = [] {
    os::at_fork([] { mutex.lock(); }, [] { mutex.unlock(); },
                [] {
                  empty_registry_in_child();
                  mutex.unlock();
                });
    return true;
  }();
  static_cast<void>(done);
}

// At load time if that is early enough: then the handlers that the program registers run outside of ours.
[[maybe_unused]] const bool registered_at_load = (register_fork_handlers(), true);

}  // namespace

std::unique_lock<std::mutex> process_lock() {
  register_fork_handlers();
  return std::unique_lock(mutex);
}

void add_to_registry(ProcessState& state) noexcept {
  state.previous = newest;
  state.next = nullptr;
  (newest == nullptr ? oldest : newest->next) = &state;
  newest = &state;
}

void remove_from_registry(ProcessState& state) noexcept {
  (state.previous == nullptr ? oldest : state.previous->next) = state.next;
  (state.next == nullptr ? newest : state.next->previous) = state.previous;
  state.previous = state.next = nullptr;
}

void update(ProcessState& state) {
  if (state.phase != ProcessState::Phase::running) return;
  const auto status = os::try_wait(state.pidfd);
  if (!status) return;
  state.exitcode = status->known ? status->code : state.record->code().value_or(kUnknownExitcode);
  state.phase = ProcessState::Phase::ended;
  state.record->release();
  state.record = nullptr;
  state.lifeline = {};
  remove_from_registry(state);
}

std::string next_identity() {
  const std::string number = std::to_string(++identities_given);
  return self == nullptr ? number : self->identity + ":" + number;
}

void set_starting(ProcessState* state) noexcept { starting = state; }

int become(ProcessState& state) {
  starting = nullptr;
  self = &state;
  identities_given = 0;
  own_lifeline = std::move(state.lifeline.reader);
  return own_lifeline.get();
}

bool is_self(const ProcessState& state) noexcept { return self == &state; }

bool is_current(const ProcessState& state) noexcept {
  return is_self(state) && state.fork_generation + 1 == os::fork_generation();
}

}  // namespace brood::proc

namespace brood {

std::vector<ProcessInfo> active_children() {
  std::vector<ProcessInfo> result;
  const auto lock = proc::process_lock();
  for (detail::ProcessState* state = proc::oldest; state != nullptr;) {
    detail::ProcessState* const next = state->next;
    proc::update(*state);
    if (state->phase == detail::ProcessState::Phase::running) {
      result.push_back({.pid = state->pid, .name = state->name, .daemon = state->daemon});
    }
    state = next;
  }
  return result;
}

ProcessInfo current_process() {
  if (proc::self == nullptr) return {.pid = os::process_id(), .name = "MainProcess"};
  return {.pid = os::process_id(), .name = proc::self->name, .daemon = proc::self->daemon};
}

std::optional<ProcessInfo> parent_process() {
  if (proc::self == nullptr) return std::nullopt;
  return proc::self->parent;
}

}  // namespace brood
