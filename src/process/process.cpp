#include <brood/process.hpp>

#include <memory>
#include <typeinfo>
#include <utility>

#include "os/clock.hpp"
#include "os/fork.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/signals.hpp"
#include "process/child.hpp"
#include "process/registry.hpp"

namespace brood {

using detail::ProcessState;
using Phase = ProcessState::Phase;

namespace {

constexpr auto kDaemonGrace = std::chrono::seconds(1);

[[noreturn]] void misuse(const ProcessState& state, const char* what) {
  throw ProcessError("brood::Process \"" + state.name + "\": " + what);
}

void check_parent(const ProcessState& state) {
  if (state.fork_generation != os::fork_generation()) {
    misuse(state, "not the parent: the handle was constructed in another process");
  }
}

void check_open(const ProcessState& state) {
  if (state.closed) misuse(state, "the handle is closed");
}

void check_started(const ProcessState& state) {
  check_open(state);
  if (state.phase == Phase::fresh || state.phase == Phase::starting) misuse(state, "not started");
}

// Waits without the lock: other threads may look at the process, or wait for it too, meanwhile.
bool wait_for_end(ProcessState& state, os::Deadline deadline) {
  int pidfd = -1;
  {
    const auto lock = proc::process_lock();
    check_started(state);
    proc::update(state);
    if (state.phase == Phase::ended) return true;
    pidfd = state.pidfd.get();
    ++state.waiters;
  }
  struct Leave {
    ProcessState& state;
    ~Leave() {
      const auto lock = proc::process_lock();
      // close() leaves the descriptor to the last thread that polls it.
      if (--state.waiters == 0 && state.closed) state.pidfd.reset();
    }
  } const leave{state};
  for (;;) {
    const bool ended = os::wait_readable(pidfd, deadline);
    const auto lock = proc::process_lock();
    proc::update(state);
    if (state.phase == Phase::ended) return true;
    if (!ended) return false;
  }
}

void send(ProcessState& state, int signal) {
  check_parent(state);
  const auto lock = proc::process_lock();
  check_started(state);
  proc::update(state);
  if (state.phase == Phase::running) os::send_signal(state.pidfd, signal);
}

// Takes everything that the child needs before there is one. Undone by abandon().
void prepare(ProcessState& state, bool has_run, bool by_main_thread) {
  const auto lock = proc::process_lock();
  check_open(state);
  if (state.phase != Phase::fresh) misuse(state, "started twice");
  if (!has_run && state.body == nullptr) misuse(state, "nothing to run: neither a function nor a derived class");
  // Under the lock, so that no other thread forks a child that holds the lifeline without knowing it.
  if (state.daemon && !by_main_thread) state.lifeline = os::make_lifeline();
  state.record = proc::ExitRecord::allocate();
  state.parent = current_process();  // here, so that the child has less to write
  state.phase = Phase::starting;
  proc::add_to_registry(state);
}

void abandon(ProcessState& state) noexcept {
  const auto lock = proc::process_lock();
  proc::remove_from_registry(state);
  state.record->release();
  state.record = nullptr;
  state.lifeline = {};
  state.phase = Phase::fresh;
}

// The child waits for the go-ahead, so until then its pid is certain to be its own unless it was killed from outside.
void adopt(ProcessState& state, pid_t pid) {
  os::Fd pidfd;
  try {
    pidfd = os::open_pidfd(pid);
  } catch (...) {
    state.record->give_go_ahead(false);
    os::reap(pid);
    throw;
  }
  const auto lock = proc::process_lock();
  state.pid = pid;
  state.pidfd = std::move(pidfd);
  state.lifeline.reader.reset();
  state.phase = Phase::running;
  state.record->give_go_ahead(true);  // under the lock: a child that was killed already may be reaped right after it
}

// What the destructor owes to the world: no process and no zombie is left.
void end(ProcessState& state) noexcept {
  const auto is_running = [&] {
    const auto lock = proc::process_lock();
    return state.phase == Phase::running;
  };
  try {
    if (!is_running()) return;
    if (state.daemon) {
      send(state, SIGTERM);
      if (!wait_for_end(state, os::Deadline::after(kDaemonGrace))) send(state, SIGKILL);
    }
    wait_for_end(state, os::Deadline::never());
  } catch (...) {  // the kernel refused to tell about the child: forget it
    const auto lock = proc::process_lock();
    if (state.phase == Phase::running) proc::remove_from_registry(state);
  }
}

}  // namespace

detail::ProcessBody::~ProcessBody() = default;

Process::Process() : Process(ProcessOptions{}) {}

Process::Process(ProcessOptions options) : Process(std::move(options), detail::ProcessBodyOwner(nullptr)) {}

Process::Process(ProcessOptions options, detail::ProcessBodyOwner body) {
  if (options.start_method.value_or(StartMethod::fork) != StartMethod::fork) {
    throw ProcessError("brood::Process: this version can start processes by fork only");
  }
  auto state = std::make_unique<ProcessState>();
  state->body = body.release();
  state->daemon = options.daemon;
  state->fork_generation = os::fork_generation();
  const auto lock = proc::process_lock();
  state->identity = proc::next_identity();
  state->name = options.name.empty() ? "Process-" + state->identity : std::move(options.name);
  state_ = state.release();
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    finish();
    state_ = std::exchange(other.state_, nullptr);
  }
  return *this;
}

Process::~Process() { finish(); }

void Process::finish() noexcept {
  ProcessState* const state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  if (state->fork_generation == os::fork_generation()) end(*state);
  if (!proc::is_self(*state)) delete state;  // a process knows its name until its end
}

void Process::run() {
  if (state().body != nullptr) state().body->run();
}

void Process::start() {
  ProcessState& state = this->state();
  check_parent(state);
  const proc::Birth birth{.parent_pid = os::process_id(), .by_main_thread = os::is_main_thread()};
  // A derived object that was moved into a plain Process has lost its run().
  prepare(state, typeid(*this) != typeid(Process), birth.by_main_thread);
  proc::set_starting(&state);
  try {
    const pid_t pid = os::fork_process();
    if (pid == 0) proc::run_child(*this, state, birth);
    adopt(state, pid);
  } catch (...) {
    proc::set_starting(nullptr);
    abandon(state);
    throw;
  }
  proc::set_starting(nullptr);
  delete std::exchange(state.body, nullptr);
}

void Process::join() {
  check_parent(state());
  wait_for_end(state(), os::Deadline::never());
}

bool Process::join_for(std::chrono::nanoseconds duration) {
  check_parent(state());
  return wait_for_end(state(), os::Deadline::after(duration));
}

pid_t Process::pid() const {
  const auto lock = proc::process_lock();
  if (proc::is_current(state())) return os::process_id();
  check_open(state());
  return state().pid;
}

const std::string& Process::name() const { return state().name; }

bool Process::daemon() const { return state().daemon; }

bool Process::is_alive() const {
  if (proc::is_current(state())) return true;
  check_parent(state());
  const auto lock = proc::process_lock();
  check_open(state());
  proc::update(state());
  return state().phase == Phase::running;
}

std::optional<int> Process::exitcode() const {
  check_parent(state());
  const auto lock = proc::process_lock();
  check_open(state());
  proc::update(state());
  if (state().phase != Phase::ended) return std::nullopt;
  return state().exitcode;
}

void Process::terminate() { send(state(), SIGTERM); }

void Process::kill() { send(state(), SIGKILL); }

void Process::close() {
  check_parent(state());
  const auto lock = proc::process_lock();
  proc::update(state());
  if (state().phase == Phase::running || state().phase == Phase::starting) misuse(state(), "close() while it runs");
  state().closed = true;
  if (state().waiters == 0) state().pidfd.reset();
}

int Process::sentinel() const {
  check_parent(state());
  const auto lock = proc::process_lock();
  check_started(state());
  return state().pidfd.get();
}

detail::ProcessState& Process::state() const {
  if (state_ == nullptr) throw ProcessError("brood::Process: the handle was moved from");
  return *state_;
}

}  // namespace brood
