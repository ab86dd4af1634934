#include "process/fork_server.hpp"

#include <brood/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/lifeline.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/program.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "process/exit_record.hpp"
#include "process/fresh_process.hpp"
#include "process/letter.hpp"
#include "process/newborn.hpp"
#include "process/registry.hpp"
#include "wire/module.hpp"

namespace brood::proc {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kStandardFds = 3;
constexpr std::uint32_t kHasDirectory = 1U << kStandardFds;
constexpr auto kReaperPatience = 1s;
constexpr auto kLookInterval = 20ms;
constexpr auto kReaperCheckInterval = 20ms;

struct Request {
  std::uint32_t record;
  std::uint32_t passed;  // a bit for each standard stream that is open, and kHasDirectory
};

template <class T>
std::span<const std::byte> bytes_of(const T& message) noexcept {
  return std::as_bytes(std::span(&message, 1));
}

// --- the caller's side ----------------------------------------------------------------------------------------------

struct Server {
  os::Fd socket;
  std::shared_ptr<const os::Fd> pidfd;
  os::Fd lifeline;  // its writer
  os::Credentials credentials;
  std::vector<std::string> environment;
};

struct Client {
  std::mutex mutex;              // for one request
  std::optional<Server> server;  // is changed under process_lock() only, so that a fork never meets it half done
};

// Made anew in a child of fork: another thread may have been in the middle of a request.
alignas(Client) constinit std::byte memory[sizeof(Client)]{};
constinit Client* made = nullptr;

Client& client() {
  static const bool done = [] {
    made = ::new (static_cast<void*>(memory)) Client;
    os::at_fork(nullptr, nullptr, [] {
      const std::optional<Server> parents = std::move(made->server);  // its descriptors end here
      made = ::new (static_cast<void*>(memory)) Client;
    });
    return true;
  }();
  static_cast<void>(done);
  return *made;
}

// At load time if that is early enough, so that no fork meets it half done.
[[maybe_unused]] const Client& made_at_load = client();

Server begin_server(const std::string& who) {
  BeginOptions options{.method = StartMethod::spawn, .who = who, .silent = true};
  wire::Writer letter;
  introduce(letter, Kind::fork_server, StartMethod::spawn);
  os::Lifeline lifeline = os::make_lifeline();
  int fds[] = {-1, lifeline.reader.get()};
  {
    const auto lock = process_lock();
    fds[0] = ExitRecord::file();
  }
  FreshProcess process = begin_process(options, letter, fds);
  return {.socket = std::move(process.socket),
          .pidfd = std::make_shared<const os::Fd>(std::move(process.pidfd)),
          .lifeline = std::move(lifeline.writer),
          .credentials = os::credentials(),
          .environment = os::environment()};
}

void set_server(Client& all, std::optional<Server> server) {
  const auto lock = process_lock();
  std::swap(all.server, server);
}

// Nothing where the process may no longer enter the directory that it is in: the child is then in the server's.
os::Fd working_directory() {
  try {
    return os::open_working_directory();
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::permission_denied) throw;
    return {};
  }
}

void end_server(Client& all) {
  give_up(*all.server->pidfd);
  set_server(all, std::nullopt);
}

}  // namespace

std::shared_ptr<const os::Fd> request_fork(int socket, std::uint32_t record, const std::string& who) {
  Request request{.record = record, .passed = 0};
  std::vector<int> fds{socket};
  const os::Fd directory = working_directory();
  if (directory) {
    request.passed |= kHasDirectory;
    fds.push_back(directory.get());
  }
  for (unsigned fd = 0; fd < kStandardFds; ++fd) {
    if (!os::is_inheritable(static_cast<int>(fd))) continue;  // closed, or a descriptor of the program's own
    request.passed |= 1U << fd;
    fds.push_back(static_cast<int>(fd));
  }
  Client& all = client();
  const std::lock_guard lock(all.mutex);
  // A program that has given up rights must not get them back from a server that it began before.
  if (all.server && all.server->credentials != os::credentials()) end_server(all);
  if (!all.server) set_server(all, begin_server(who));
  if (os::send_message(all.server->socket.get(), bytes_of(request), fds)) return all.server->pidfd;
  end_server(all);
  return nullptr;
}

bool has_server_environment(const std::vector<std::string>& environment) {
  const Client& all = client();
  const auto lock = process_lock();
  return !all.server || all.server->environment == environment;
}

std::optional<int> wait_for_verdict(const ExitRecord& record, const os::Fd& server) {
  const auto patience = os::Deadline::after(kReaperPatience);
  for (;;) {
    const bool server_ended = os::wait_readable(server.get(), os::Deadline::at(0));
    const auto deadline = server_ended ? os::Deadline::at(0) : os::Deadline::after(kReaperCheckInterval);
    if (const auto verdict = record.wait_for_verdict(deadline)) return verdict;
    if (server_ended || patience.passed()) return std::nullopt;
  }
}

// --- the server -----------------------------------------------------------------------------------------------------

namespace {

class ServerLoop {
 public:
  ServerLoop(Caller caller, os::Fd records, os::Fd lifeline)
      : caller_(std::move(caller)), records_(std::move(records)), lifeline_(std::move(lifeline)) {}

  [[noreturn]] void run() {
    child_action_ = os::take_default_action(SIGCHLD);  // ignored, it would reap behind our back
    signals_ = os::make_signalfd({SIGCHLD});
    for (;;) {
      os::PollItem items[] = {{.fd = caller_.socket.get()}, {.fd = signals_.get()}, {.fd = caller_.pidfd.get()}};
      const bool look = !alone_ && !children_.empty();
      os::poll(items, look ? os::Deadline::after(kLookInterval) : os::Deadline::never());
      if (items[1].readable) os::read_signal(signals_.get());
      if (items[1].readable || look) reap();
      if (items[2].readable) os::exit_now(0);
      if (items[0].readable) serve();
    }
  }

 private:
  struct Child {
    pid_t pid;
    std::uint32_t record;
  };

  void serve() {
    Request request{};
    std::size_t length = 0;
    std::vector<os::Fd> fds;
    os::Received received = os::Received::nothing;
    try {
      received =
          os::receive_message(caller_.socket.get(), std::as_writable_bytes(std::span(&request, 1)), length, fds, false);
    } catch (const std::system_error&) {
      return;  // the message came, but its descriptors found no room here: the caller sees the end of its line
    }
    if (received == os::Received::nothing) return;
    if (received == os::Received::end || length != sizeof request || fds.empty()) os::exit_now(0);
    children_.reserve(children_.size() + 1);
    try {
      const pid_t pid = os::fork_process();
      if (pid == 0) begin_child(request, std::move(fds));
      children_.push_back({.pid = pid, .record = request.record});
    } catch (const std::system_error& failure) {
      wire::Writer writer;
      wire::save(writer, Answer{.error = failure.code().value()});
      send_letter(fds.front().get(), writer);
    }
  }

  [[noreturn]] void begin_child(const Request& request, std::vector<os::Fd> fds) noexcept {
    try {
      caller_.socket = std::move(fds[0]);
      signals_.reset();
      records_ = ExitRecords(os::Fd());
      lifeline_.reset();
      os::restore_action(SIGCHLD, child_action_);
      wire::trust_remembered_modules();
      std::size_t next = 1;
      if ((request.passed & kHasDirectory) != 0) os::enter_directory(fds[next++]);
      for (unsigned fd = 0; fd < kStandardFds; ++fd) {
        if ((request.passed >> fd & 1U) != 0 && next < fds.size()) {
          os::replace_fd(fds[next++].get(), static_cast<int>(fd));
        } else {
          os::Fd{static_cast<int>(fd)}.reset();
        }
      }
      fds.clear();
      os::restore_mask(mask_.previous());
    } catch (...) {
      os::exit_now(1);
    }
    begin_life(std::move(caller_), Origin::fork_server);
  }

  void reap() {
    while (const auto ended = os::try_wait_any()) {
      const auto child = std::find_if(children_.begin(), children_.end(),
                                      [&](const Child& candidate) { return candidate.pid == ended->first; });
      if (child == children_.end()) continue;
      if (child->record != kNoRecord) records_.at(child->record).set_verdict(ended->second.code);
      children_.erase(child);
    }
  }

  Caller caller_;
  ExitRecords records_;
  os::Fd lifeline_;
  const os::SignalMask mask_;  // every signal is blocked here
  struct sigaction child_action_ {};
  os::Fd signals_;
  std::vector<Child> children_;
  // A thread that the program began before init() may take the signal of a child's end away from us.
  const bool alone_ = os::is_single_threaded();
};

}  // namespace

void serve_forks(Caller caller, os::Fd records, os::Fd lifeline) {
  ServerLoop(std::move(caller), std::move(records), std::move(lifeline)).run();
}

}  // namespace brood::proc
