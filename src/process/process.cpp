#include <brood/process.hpp>

#include <memory>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "os/clock.hpp"
#include "os/fork.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/signals.hpp"
#include "process/child.hpp"
#include "process/fresh_process.hpp"
#include "process/registry.hpp"

namespace brood {

using detail::ProcessState;
using Phase = ProcessState::Phase;

namespace {

constexpr auto kDaemonGrace = std::chrono::seconds(1);

std::string who(const ProcessState& state) { return "brood::Process \"" + state.name + "\""; }

[[noreturn]] void misuse(const ProcessState& state, const char* what) { throw ProcessError(who(state) + ": " + what); }

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
void prepare(ProcessState& state, bool has_run, bool needs_lifeline) {
  const auto lock = proc::process_lock();
  check_open(state);
  if (state.phase != Phase::fresh) misuse(state, "started twice");
  if (!has_run && state.body == nullptr) misuse(state, "nothing to run: neither a function nor a derived class");
  // Under the lock, so that no other thread forks a child that holds the lifeline without knowing it.
  if (needs_lifeline) state.lifeline = os::make_lifeline();
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

const detail::ProcessImage& detail::ProcessBody::save(wire::Writer&) const {
  detail::refuse_to_send("it can only be inherited");
}

void detail::refuse_to_send(const char* why) {
  throw ProcessError(std::string("brood::Process cannot be started by spawn or forkserver: ") + why);
}

Process::Process() : Process(ProcessOptions{}) {}

Process::Process(ProcessOptions options) : Process(std::move(options), detail::ProcessBodyOwner(nullptr)) {}

Process::Process(ProcessOptions options, detail::ProcessBodyOwner body) {
  auto state = std::make_unique<ProcessState>();
  state->body = body.release();
  state->daemon = options.daemon;
  state->method = options.start_method;
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
  const StartMethod method = state.method.value_or(get_start_method());
  if (method != StartMethod::fork) proc::check_can_begin(method, who(state));
  proc::prepare_for_children();
  const bool by_main_thread = os::is_main_thread();
  // The end of the parent is seen by the kernel as the end of the thread that forked: for the others, and for a child
  // of the fork server, a lifeline does it.
  const bool needs_lifeline = state.daemon && (method == StartMethod::forkserver || !by_main_thread);
  // A derived object that was moved into a plain Process has lost its run().
  prepare(state, typeid(*this) != typeid(Process), needs_lifeline);
  try {
    if (method == StartMethod::fork) {
      start_by_fork(state, by_main_thread);
    } else {
      start_afresh(state, method);
    }
  } catch (...) {
    abandon(state);
    throw;
  }
  delete std::exchange(state.body, nullptr);
}

void Process::start_by_fork(ProcessState& state, bool by_main_thread) {
  const proc::Birth birth{.parent_pid = os::process_id(), .by_main_thread = by_main_thread};
  struct Starting {
    explicit Starting(ProcessState& state) { proc::set_starting(&state); }
    ~Starting() { proc::set_starting(nullptr); }
  } const starting(state);
  const pid_t pid = os::fork_process();
  if (pid == 0) proc::run_child(*this, state, birth);
  adopt(state, pid);
}

void Process::start_afresh(ProcessState& state, StartMethod method) {
  wire::Writer body;
  body.allow_references(true);
  const detail::ProcessImage& image = save(body);

  wire::Writer letter;
  proc::introduce(letter, proc::Kind::process, method);
  wire::save(letter, proc::ProcessIntroduction{.name = state.name,
                                               .identity = state.identity,
                                               .daemon = state.daemon,
                                               .has_lifeline = static_cast<bool>(state.lifeline.reader),
                                               .parent_pid = os::process_id(),
                                               .parent_name = state.parent.name,
                                               .parent_daemon = state.parent.daemon,
                                               .record = state.record->number(),
                                               .image = wire::locate(&image),
                                               .signature = image.signature});
  letter.allow_references(true);
  for (const std::span<const std::byte> piece : body.pieces()) letter.write_stable(piece.data(), piece.size());
  std::vector<int> fds;
  {
    const auto lock = proc::process_lock();
    fds.push_back(proc::ExitRecord::file());
  }
  if (state.lifeline.reader) fds.push_back(state.lifeline.reader.get());

  proc::FreshProcess process = proc::begin_process({.method = method,
                                                    .who = who(state),
                                                    .die_with_thread = state.daemon && !state.lifeline.reader,
                                                    .record = state.record},
                                                   letter, fds);
  const auto lock = proc::process_lock();
  state.pid = process.pid;
  state.pidfd = std::move(process.pidfd);
  state.reaper = std::move(process.reaper);
  try {
    proc::let_go(process);  // which knows its pid then, as everybody does
  } catch (...) {
    proc::give_up(state.pidfd);
    state.pid = 0;
    state.pidfd.reset();
    state.reaper.reset();
    throw;
  }
  state.lifeline.reader.reset();
  state.phase = Phase::running;
}

const detail::ProcessImage& Process::save(wire::Writer& writer) const {
  if (typeid(*this) != typeid(Process)) {
    detail::refuse_to_send(
        "a class derived from brood::Process can only be started by fork; derive it from brood::ProcessType instead, "
        "and give it a `template <class A> void serialize(A&)` for its members");
  }
  return state().body->save(writer);
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
