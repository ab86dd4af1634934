#include "process/registry.hpp"

#include <chrono>
#include <utility>

#include "os/fork.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "process/fork_server.hpp"

namespace brood::proc {
namespace {

using namespace std::chrono_literals;

constexpr auto kOrphanPatience = 100ms;
constexpr auto kOrphanCheckInterval = 5ms;

// Never destroyed: handles may be statics, and detached threads outlive main().
constinit std::mutex mutex;
constinit ProcessState* oldest = nullptr;
constinit ProcessState* newest = nullptr;
constinit unsigned identities_given = 0;

thread_local constinit ProcessState* starting = nullptr;

// The end that this process dies by; of no use to a child of its own.
constinit int own_lifeline = -1;  // open until the very end

// Who this process is: what its parent's handle says; null when brood did not start it. Written by the child before it
// runs anything else, then constant.
constinit const ProcessState* self = nullptr;

// In the child of any fork: the registered processes are the parent's children. Their descriptors are of no use here,
// and a lifeline held open here would keep a daemon alive.
void empty_registry_in_child() noexcept {
  for (ProcessState* state = oldest; state != nullptr;) {
    ProcessState* const next = state->next;
    state->pidfd.reset();
    state->reaper.reset();
    state->lifeline.writer.reset();
    if (state != starting) state->lifeline.reader.reset();
    state->previous = state->next = nullptr;
    state = next;
  }
  oldest = newest = nullptr;
  os::Fd(std::exchange(own_lifeline, -1)).reset();
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

namespace {

// How it ended, if it has.
std::optional<int> look_for_end(ProcessState& state) {
  const auto status = os::try_wait(state.pidfd);
  if (!status) return std::nullopt;
  return status->known ? status->code : state.record->code().value_or(kUnknownExitcode);
}

// The same when the fork server reaps it.
std::optional<int> look_for_end_elsewhere(ProcessState& state) {
  if (!os::wait_readable(state.pidfd.get(), os::Deadline::at(0))) return std::nullopt;
  // What it has said itself is as good, and there without waiting for the server.
  if (const auto verdict = state.record->wait_for_verdict(os::Deadline::at(0))) return verdict;
  if (const auto said = state.record->code()) return said;
  if (const auto verdict = wait_for_verdict(*state.record, *state.reaper)) return verdict;
  // The server is dead: whoever reaps orphans does it now, if that is not this process itself.
  const auto patience = os::Deadline::after(kOrphanPatience);
  do {
    if (const auto status = os::try_wait(state.pidfd); status && status->known) return status->code;
    os::sleep_until(os::Deadline::after(kOrphanCheckInterval));
  } while (!patience.passed());
  return kUnknownExitcode;
}

}  // namespace

void update(ProcessState& state) {
  if (state.phase != ProcessState::Phase::running) return;
  const auto code = state.reaper == nullptr ? look_for_end(state) : look_for_end_elsewhere(state);
  if (!code) return;
  state.exitcode = *code;
  state.phase = ProcessState::Phase::ended;
  state.record->release();
  state.record = nullptr;
  state.reaper.reset();
  state.lifeline = {};
  remove_from_registry(state);
}

std::string next_identity() {
  const std::string number = std::to_string(++identities_given);
  return self == nullptr ? number : self->identity + ":" + number;
}

void take_back_identity(const ProcessState& state) {
  const std::string last = std::to_string(identities_given);
  if (state.identity == (self == nullptr ? last : self->identity + ":" + last)) --identities_given;
}

void set_starting(ProcessState* state) noexcept { starting = state; }

int become(ProcessState& state) {
  starting = nullptr;
  self = &state;
  identities_given = 0;
  own_lifeline = state.lifeline.reader.release();
  return own_lifeline;
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
