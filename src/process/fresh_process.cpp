#include "process/fresh_process.hpp"

#include <brood/error.hpp>
#include <brood/process.hpp>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "os/async_safe.hpp"
#include "os/clock.hpp"
#include "os/fork.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/program.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "os/spawn.hpp"
#include "os/stdio.hpp"
#include "process/fork_server.hpp"
#include "process/letter.hpp"
#include "wire/exit_text.hpp"

namespace brood::proc {
namespace {

// For the end of a process that is certain to come: killed, or about to leave.
constexpr std::int64_t kEndNs = 2'000'000'000;
constexpr int kLastSignal = 64;

// Set by init(), before there are threads; kept by children of every kind.
constinit const ProgramStart* program = nullptr;

const char* name_of(StartMethod method) { return method == StartMethod::spawn ? "spawn" : "forkserver"; }

FreshProcess spawn_program(const BeginOptions& options, int socket) {
  const os::Fd self = os::open_pidfd(os::process_id());
  os::Fd nothing;
  os::SpawnOptions spawn;
  spawn.program = "/proc/self/exe";  // the file that runs, whatever its name refers to by now
  spawn.args = program->arguments;
  spawn.env = os::environment();
  spawn.env->push_back(std::string(kBegunVariable) + "=" + std::to_string(os::socket_number(socket)) + ":" +
                       std::to_string(os::process_id()));
  spawn.fds = {{kSocketFd, socket}, {kCallerFd, self.get()}};
  if (options.silent) {
    nothing = os::open_null();
    spawn.fds.push_back({0, nothing.get()});
    spawn.fds.push_back({1, nothing.get()});
  }
  spawn.clear_signal_mask = true;
  const std::vector<int>& ignored = program->ignored_signals;
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (std::find(ignored.begin(), ignored.end(), signal) == ignored.end()) spawn.default_signals.push_back(signal);
  }
  if (options.die_with_thread) spawn.parent_death_signal = SIGKILL;
  os::Spawned spawned = os::spawn(spawn);
  return {.pid = spawned.pid, .pidfd = std::move(spawned.pidfd), .socket = {}, .reaper = nullptr};
}

FreshProcess fork_afresh(const BeginOptions& options, int socket) {
  const std::uint32_t record = options.record == nullptr ? kNoRecord : options.record->number();
  const auto expect = [&](bool verdict) {
    if (options.record != nullptr) options.record->expect_verdict(verdict);
  };
  expect(true);  // also when the answer does not arrive
  auto forked = fork_from_server(socket, record, options.who);
  if (!forked || forked->error != 0) expect(false);
  if (!forked) return {};
  if (forked->error != 0) {
    throw std::system_error(forked->error, std::system_category(), "fork, in the fork server");
  }
  return {.pid = forked->pid, .pidfd = std::move(forked->pidfd), .socket = {}, .reaper = std::move(forked->server)};
}

// A process that was made, and its line, on which the letter waits for it already. The server may die of it: then with
// a new line. (What it has forked finds nobody at the end of the old one.)
FreshProcess make_process(const BeginOptions& options, const wire::Writer& letter, std::span<const int> fds) {
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto [mine, theirs] = os::socket_pair();
    send_letter(mine.get(), letter, fds);
    FreshProcess process = options.method == StartMethod::spawn ? spawn_program(options, theirs.get())
                                                                : fork_afresh(options, theirs.get());
    process.socket = std::move(mine);
    if (process.pidfd) return process;
  }
  throw ProcessError(options.who + ": the fork server ended each time that it was asked for a process");
}

std::string how_it_ended(const BeginOptions& options, const FreshProcess& process) {
  constexpr const char* kUnknown = "ended in a way that nobody noticed";
  std::optional<int> code;
  if (process.reaper == nullptr) {
    const auto status = os::wait(process.pidfd, os::Deadline::at(os::now_ns() + kEndNs));
    if (status && status->known) code = status->code;
  } else if (options.record != nullptr) {
    code = wait_for_verdict(*options.record, *process.reaper);
  }
  return code ? wire::exit_text(*code) : kUnknown;
}

[[noreturn]] void throw_dead(const BeginOptions& options, const FreshProcess& process) {
  const std::string how = how_it_ended(options, process);
  throw ProcessError(options.who + ": the new process (" + name_of(options.method) + ") " + how +
                     " before it had taken over what it was to do. Is brood::init(argc, argv) the first line of main()?"
                     " Or did loading an argument end it?");
}

void await_answer(const BeginOptions& options, const FreshProcess& process) {
  os::PollItem items[] = {{.fd = process.socket.get()}, {.fd = process.pidfd.get()}};
  os::poll(items, os::Deadline::never());
  // Dead or not, it may have said something.
  auto letter = os::wait_readable(process.socket.get(), os::Deadline::at(0)) ? Letter::receive(process.socket.get())
                                                                             : std::nullopt;
  if (!letter) throw_dead(options, process);
  wire::Reader reader(letter->bytes());
  const auto answer = wire::load<Answer>(reader);
  if (answer.ready) return;
  throw ProcessError(options.who + ": the new process (" + name_of(options.method) +
                     ") could not take over what it was to do: " + answer.why_not);
}

}  // namespace

void note_program_start(ProgramStart start) {
  delete std::exchange(program, nullptr);
  program = new ProgramStart(std::move(start));
}

void check_can_begin(StartMethod method, const std::string& who) {
  if (program == nullptr) {
    throw ProcessError(who + ": start method " + name_of(method) +
                       " runs this program again for the new process, which needs brood::init(argc, argv) as the first "
                       "line of main()");
  }
  if (os::has_elevated_rights()) {
    throw ProcessError(who +
                       ": a program that runs with elevated rights (setuid, setgid, capabilities) can start "
                       "processes by fork only");
  }
}

void introduce(wire::Writer& writer, Kind kind, StartMethod method) {
  Introduction introduction{.kind = kind, .default_method = get_start_method()};  // environment: exec passes it on
  if (method == StartMethod::forkserver) {
    auto environment = os::environment();
    if (!has_server_environment(environment)) introduction.environment = std::move(environment);
  }
  wire::save(writer, introduction);
}

FreshProcess begin_process(const BeginOptions& options, const wire::Writer& letter, std::span<const int> fds) {
  os::flush_output_before_fork();  // so that it comes before the new process's, under every method
  FreshProcess process = make_process(options, letter, fds);
  try {
    await_answer(options, process);
  } catch (...) {
    give_up(process.pidfd);
    if (process.reaper != nullptr && options.record != nullptr) wait_for_verdict(*options.record, *process.reaper);
    throw;
  }
  return process;
}

void let_go(const FreshProcess& process) { send_letter(process.socket.get(), wire::Writer()); }

void give_up(const os::Fd& pidfd) noexcept {
  os::kill_pidfd(pidfd.get());
  os::wait_for_exit(pidfd.get(), os::now_ns() + kEndNs);
}

}  // namespace brood::proc
