#include "process/newborn.hpp"

#include <brood/error.hpp>
#include <brood/process.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/lifeline.hpp"
#include "os/output.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/program.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "process/child.hpp"
#include "process/fork_server.hpp"
#include "process/fresh_process.hpp"
#include "process/letter.hpp"
#include "process/registry.hpp"
#include "process/template_process.hpp"
#include "process/template_server.hpp"
#include "wire/exception.hpp"

namespace brood {

// How the library gets at what a Process is.
class detail::ProcessAccess {
 public:
  // `process`, made by a default constructor in a child, is that child's own.
  static void adopt(Process& process, ProcessState& state) {
    const ProcessState* const made = std::exchange(process.state_, &state);
    const auto lock = proc::process_lock();
    proc::take_back_identity(*made);
    delete made;
  }
};

namespace proc {
namespace {

constexpr auto kGoPatience = std::chrono::microseconds(100);

// Nothing: the caller is gone. A child that the caller forked in this moment may hold its end of the line open.
std::optional<Letter> receive_letter(const Caller& caller) {
  os::PollItem items[] = {{.fd = caller.socket.get()}, {.fd = caller.pidfd.get()}};
  os::poll(items, os::Deadline::never());
  if (!os::wait_readable(caller.socket.get(), os::Deadline::at(0))) return std::nullopt;
  return Letter::receive(caller.socket.get());
}

// Whether the caller will hear it.
bool answer(const Caller& caller, Origin origin, Answer words) {
  os::Fd self;
  if (origin == Origin::fork_server && words.ready) self = os::open_pidfd(os::process_id());
  words.pid = os::process_id();
  wire::Writer writer;
  wire::save(writer, words);
  const int fd = self.get();
  return send_letter(caller.socket.get(), writer, std::span(&fd, self ? 1 : 0));
}

os::Fd take(std::vector<os::Fd>& fds) {
  if (fds.empty()) throw ArchiveError("bad letter: a descriptor is missing");
  os::Fd first = std::move(fds.front());
  fds.erase(fds.begin());
  return first;
}

detail::ProcessBody* load_body(const ProcessIntroduction& who, wire::Reader& reader) {
  const auto* const image =
      static_cast<const detail::ProcessImage*>(wire::resolve(who.image, sizeof(detail::ProcessImage)));
  if (image->signature != who.signature) {
    throw ProcessError("the function at this place of the program has another signature: was it rebuilt?");
  }
  std::unique_ptr<detail::ProcessBody> body(image->load(reader));
  reader.finish();
  return body.release();
}

struct Life {
  Caller caller;
  Letter letter;
  wire::Reader reader;
  Origin origin;
};

[[noreturn]] void become_process(Life& life) {
  const auto who = wire::load<ProcessIntroduction>(life.reader);
  auto& state = *new ProcessState;  // a process knows who it is until its end
  state.name = who.name;
  state.identity = who.identity;
  state.daemon = who.daemon;
  state.fork_generation = os::fork_generation() - 1;
  state.phase = ProcessState::Phase::running;
  state.parent = {.pid = who.parent_pid, .name = who.parent_name, .daemon = who.parent_daemon};
  state.record = &ExitRecords(take(life.letter.fds())).at(who.record);
  if (who.has_lifeline) state.lifeline.reader = take(life.letter.fds());
  prepare_for_children();
  const int lifeline = settle(state);
  if (lifeline >= 0) os::die_at_hangup(lifeline);
  detail::ProcessBody* const body = load_body(who, life.reader);
  if (Process* const process = body->process()) detail::ProcessAccess::adopt(*process, state);
  if (!answer(life.caller, life.origin, {.ready = true})) os::exit_now(1);
  // The word to go comes at once: less than a sleep and a wake-up cost.
  const auto patience = os::Deadline::after(kGoPatience);
  while (!os::wait_readable(life.caller.socket.get(), os::Deadline::at(0)) && !patience.passed()) {
  }
  if (!receive_letter(life.caller)) os::exit_now(1);
  const bool own_program = life.origin == Origin::exec;
  life.caller = {};
  life.letter = {};
  run_body(*body, state, own_program);
}

[[noreturn]] void become_template(Life& life) {
  const auto what = wire::load<TemplateIntroduction>(life.reader);
  life.reader.finish();
  const auto child_main = reinterpret_cast<TemplateProcess::ChildMain>(
      const_cast<void*>(wire::resolve(what.child_main)));  // code, which is not written to
  TemplateContext context{.bytes = what.context, .fds = std::move(life.letter.fds())};
  wire::remember_modules();
  if (!answer(life.caller, life.origin, {.ready = true})) os::exit_now(1);
  const os::SignalMask mask;
  serve_as_template(child_main, &context, std::move(life.caller.socket), std::move(life.caller.pidfd), mask.previous());
}

[[noreturn]] void become_server(Life& life) {
  life.reader.finish();
  os::Fd records = take(life.letter.fds());
  os::Fd lifeline = take(life.letter.fds());
  os::die_at_hangup(lifeline.get());         // also while it is stopped
  os::replace_fd(os::open_null().get(), 2);  // who reads what the program prints must not wait for the server's end
  // What every child would have to do.
  wire::remember_modules();
  prepare_for_children();
  if (!answer(life.caller, life.origin, {.ready = true})) os::exit_now(1);
  serve_forks(std::move(life.caller), std::move(records), std::move(lifeline));
}

// Whether this process was begun by brood, which `mark` says. It may have got here in other ways: in an environment
// that was kept, or by a program that a constructor of a new process starts. But main() must never run in a new
// process.
bool is_begun(const std::string& mark) {
  if (mark.empty()) return false;
  unsigned long long socket = 0;
  int caller = 0;
  if (std::sscanf(mark.c_str(), kMarkFormat, &socket, &caller) != 2) return false;
  const bool has_line = socket != 0 && os::socket_number(kSocketFd) == socket && os::is_open(kCallerFd);
  if (os::is_parent(caller)) {
    if (has_line) return true;
    os::write_line_to_stderr(
        "brood: a new process could not begin: descriptors 3 and 4 were closed before brood::init(), which must be the "
        "first line of main()");
    os::exit_now(1);
  }
  // The child of another parent by now: because its own has died, or because it is the child of a new process.
  if (has_line && os::wait_readable(kCallerFd, os::Deadline::at(0))) os::exit_now(1);
  return false;
}

[[noreturn]] void become(Life& life) {
  auto introduction = wire::load<Introduction>(life.reader);
  set_start_method(introduction.default_method);
  if (introduction.environment) os::replace_environment(std::move(*introduction.environment));
  switch (introduction.kind) {
    case Kind::process:
      become_process(life);
    case Kind::pool_template:
      become_template(life);
    case Kind::fork_server:
      become_server(life);
  }
  throw ArchiveError("bad letter: of no known kind");
}

}  // namespace

void begin_life(Caller caller, Origin origin) noexcept {
  std::optional<Life> life;
  try {
    auto letter = receive_letter(caller);
    if (!letter) os::exit_now(1);
    const wire::Reader reader(letter->bytes());
    life.emplace(Life{std::move(caller), std::move(*letter), reader, origin});
    become(*life);
  } catch (...) {
    try {
      if (!life) {
        os::write_line_to_stderr("brood: a new process could not begin: " +
                                 wire::exception_text(std::current_exception()));
      } else {
        answer(life->caller, life->origin, {.why_not = wire::exception_text(std::current_exception())});
      }
    } catch (...) {  // no memory to say so: the caller sees the end
    }
    os::exit_now(1);
  }
}

}  // namespace proc

void init(int argc, char** argv) {
  const bool begun = proc::is_begun(os::take_variable(proc::kBegunVariable));
  std::vector<std::string> arguments(argv, argv + argc);
  if (arguments.empty()) arguments.emplace_back("brood");  // exec() asks for one
  proc::note_program_start({.arguments = std::move(arguments), .ignored_signals = os::ignored_signals()});
  if (!begun) return;
  // Whoever calls a program that has more rights than he has could tell it to do anything.
  if (os::has_elevated_rights()) os::exit_now(1);
  proc::Caller caller{.socket = os::Fd(proc::kSocketFd), .pidfd = os::Fd(proc::kCallerFd)};
  os::set_inheritable(caller.socket.get(), false);
  os::set_inheritable(caller.pidfd.get(), false);
  proc::begin_life(std::move(caller), proc::Origin::exec);
}

}  // namespace brood
