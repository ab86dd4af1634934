#include "process/fresh_process.hpp"

#include <brood/error.hpp>
#include <brood/process.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "os/async_safe.hpp"
#include "os/clock.hpp"
#include "os/cpu.hpp"
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
#include "process/registry.hpp"
#include "wire/exit_text.hpp"

namespace brood::proc {
namespace {

// For the end of a process that is certain to come: killed, or about to leave.
constexpr std::int64_t kEndNs = 2'000'000'000;
constexpr int kLastSignal = 64;
constexpr auto kAnswerPatience = std::chrono::microseconds(250);
constexpr auto kLookInterval = std::chrono::milliseconds(100);

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

// The record that a child of the fork server needs, also when its caller has no use for one.
class Verdict {
 public:
  explicit Verdict(const BeginOptions& options) : record_(options.record) {
    if (options.method != StartMethod::forkserver) return;
    if (record_ == nullptr) {
      const auto lock = process_lock();
      record_ = own_ = ExitRecord::allocate();
    }
    record_->expect_verdict(true);  // from here on, whatever happens
  }
  Verdict(const Verdict&) = delete;
  Verdict& operator=(const Verdict&) = delete;
  ~Verdict() {
    if (own_ == nullptr) return;
    const auto lock = process_lock();
    own_->release();
  }
  ExitRecord* record() const noexcept { return record_; }

 private:
  ExitRecord* record_;
  ExitRecord* own_ = nullptr;
};

[[noreturn]] void throw_dead(const BeginOptions& options, std::optional<int> code) {
  const std::string how = code ? wire::exit_text(*code) : "ended in a way that nobody noticed";
  throw ProcessError(options.who + ": the new process (" + name_of(options.method) + ") " + how +
                     " before it had taken over what it was to do. Is brood::init(argc, argv) the first line of main()?"
                     " Or did loading an argument end it?");
}

// It says that it is ready, and who it is if that is not known yet.
void hear(const BeginOptions& options, FreshProcess& process, Letter& letter) {
  wire::Reader reader(letter.bytes());
  const auto answer = wire::load<Answer>(reader);
  if (answer.error != 0) throw std::system_error(answer.error, std::system_category(), "fork, in the fork server");
  if (!process.pidfd && !letter.fds().empty()) {
    process.pid = answer.pid;
    process.pidfd = std::move(letter.fds().front());
  }
  if (answer.ready && process.pidfd) return;
  throw ProcessError(options.who + ": the new process (" + name_of(options.method) +
                     ") could not take over what it was to do: " + answer.why_not);
}

std::optional<Letter> letter_that_is_there(const FreshProcess& process) {
  if (!os::wait_readable(process.socket.get(), os::Deadline::at(0))) return std::nullopt;
  return Letter::receive(process.socket.get());
}

void await_spawned(const BeginOptions& options, FreshProcess& process) {
  os::PollItem items[] = {{.fd = process.socket.get()}, {.fd = process.pidfd.get()}};
  os::poll(items, os::Deadline::never());
  if (auto letter = letter_that_is_there(process)) return hear(options, process, *letter);
  const auto status = os::wait(process.pidfd, os::Deadline::at(os::now_ns() + kEndNs));
  throw_dead(options, status && status->known ? std::optional(status->code) : std::nullopt);
}

// False: the server died, and there is no process. The end of the line alone does not tell: whoever the program forked
// in the meantime may hold the other end.
bool await_forked(const BeginOptions& options, FreshProcess& process, const ExitRecord& record) {
  os::Deadline lost = os::Deadline::never();  // without an answer until then, when the server is dead
  // It mostly comes sooner than a sleep and a wake-up would take.
  static const unsigned cpus = os::cpu_count();
  const auto patience = cpus > 1 ? os::Deadline::after(kAnswerPatience) : os::Deadline::at(0);
  while (!os::wait_readable(process.socket.get(), os::Deadline::at(0)) && !patience.passed()) os::cpu_relax();
  for (;;) {
    os::PollItem items[] = {{.fd = process.socket.get()}, {.fd = lost.is_never() ? process.reaper->get() : -1}};
    os::poll(items, os::Deadline::after(kLookInterval));
    const bool verdict = record.wait_for_verdict(os::Deadline::at(0)).has_value();
    if (auto letter = letter_that_is_there(process)) {
      hear(options, process, *letter);
      return true;
    }
    if (items[0].readable || verdict) {
      const auto code = wait_for_verdict(record, *process.reaper);
      if (code || !os::wait_readable(process.reaper->get(), os::Deadline::at(0))) throw_dead(options, code);
      return false;
    }
    if (items[1].readable) lost = os::Deadline::at(os::now_ns() + kEndNs);
    if (lost.passed()) return false;
  }
}

FreshProcess fork_afresh(const BeginOptions& options, const wire::Writer& letter, std::span<const int> fds,
                         ExitRecord& record) {
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // The letter first: the child finds it when it begins. What a dead server has forked finds nobody to answer to.
    auto [mine, theirs] = os::socket_pair();
    send_letter(mine.get(), letter, fds);
    FreshProcess process;
    process.reaper = request_fork(theirs.get(), record.number(), options.who);
    if (process.reaper == nullptr) continue;
    theirs.reset();
    process.socket = std::move(mine);
    try {
      if (await_forked(options, process, record)) return process;
    } catch (...) {
      process.socket.reset();
      if (process.pidfd) give_up(process.pidfd);
      wait_for_verdict(record, *process.reaper);
      throw;
    }
  }
  throw ProcessError(options.who + ": the fork server ended each time that it was asked for a process");
}

FreshProcess spawn_afresh(const BeginOptions& options, const wire::Writer& letter, std::span<const int> fds) {
  auto [mine, theirs] = os::socket_pair();
  send_letter(mine.get(), letter, fds);
  FreshProcess process = spawn_program(options, theirs.get());
  theirs.reset();
  process.socket = std::move(mine);
  try {
    await_spawned(options, process);
  } catch (...) {
    give_up(process.pidfd);
    throw;
  }
  return process;
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
  if (options.method == StartMethod::spawn) return spawn_afresh(options, letter, fds);
  const Verdict verdict(options);
  return fork_afresh(options, letter, fds, *verdict.record());
}

void let_go(const FreshProcess& process) { send_letter(process.socket.get(), wire::Writer()); }

void give_up(const os::Fd& pidfd) noexcept {
  os::kill_pidfd(pidfd.get());
  os::wait_for_exit(pidfd.get(), os::now_ns() + kEndNs);
}

}  // namespace brood::proc
