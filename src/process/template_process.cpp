#include "process/template_process.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/poll.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"

namespace brood::proc {
namespace {

enum Request : std::uint32_t { kSpawn = 1, kFinish = 2, kTerminate = 3 };
enum Reply : std::uint32_t { kSpawned = 1, kFailed = 2, kEnded = 3 };

struct RequestMessage {
  std::uint32_t kind;
  std::uint32_t reserved;
  std::uint64_t id;
};

struct ReplyMessage {
  std::uint32_t kind;
  std::int32_t pid;
  std::uint64_t id;
  std::int32_t code;  // errno of failed, exit code of ended
  std::int32_t core;
  std::int64_t max_rss_kib;
};

template <class T>
std::span<const std::byte> bytes_of(const T& message) noexcept {
  return std::as_bytes(std::span(&message, 1));
}

// The template's own life. Everything it holds was made before or is plain data: no locks of the caller are touched.
class Server {
 public:
  Server(TemplateProcess::ChildMain child_main, void* context, os::Fd socket, os::Fd parent, const sigset_t& mask)
      : child_main_(child_main),
        context_(context),
        socket_(std::move(socket)),
        parent_(std::move(parent)),
        mask_(mask) {}

  // Nothing may leave this function: above it on the stack is the caller's program.
  [[noreturn]] void run() noexcept {
    try {
      serve_until_the_end();
    } catch (...) {
      terminate();
    }
    os::exit_now(1);
  }

 private:
  void serve_until_the_end() {
    os::block_all_signals();
    child_action_ = os::take_default_action(SIGCHLD);  // ignored, it would reap behind our back
    signals_ = os::make_signalfd({SIGCHLD});
    while (!(finishing_ && children_.empty())) {
      os::PollItem items[] = {{.fd = socket_ ? socket_.get() : -1}, {.fd = signals_.get()}, {.fd = parent_.get()}};
      os::poll(items, os::Deadline::never());
      if (items[1].readable) {
        os::read_signal(signals_.get());
        reap();
      }
      if (items[2].readable) {
        terminate();
      } else if (items[0].readable && socket_) {
        serve();
      }
    }
    os::exit_now(0);
  }

  struct Child {
    pid_t pid;
    std::uint64_t id;
  };

  void serve() {
    RequestMessage request{};
    std::size_t length = 0;
    std::vector<os::Fd> fds;
    os::Received received = os::Received::nothing;
    try {
      received = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&request, 1)), length, fds, false);
    } catch (const std::system_error& failure) {
      // The message came, but its descriptors found no room here.
      if (request.kind != kSpawn) throw;
      return reply({kFailed, 0, request.id, failure.code().value(), 0, 0}, {});
    }
    if (received == os::Received::nothing) return;
    if (received == os::Received::end || length != sizeof request || request.kind == kTerminate) return terminate();
    if (request.kind == kFinish) {
      finishing_ = true;
    } else {
      spawn(request.id, std::move(fds));
    }
  }

  void spawn(std::uint64_t id, std::vector<os::Fd> fds) {
    const pid_t self = os::process_id();
    pid_t pid = -1;
    int error = 0;
    try {
      pid = os::fork_process();
    } catch (const std::system_error& failure) {
      error = failure.code().value();
    }
    if (pid == 0) become_child(self, id, std::move(fds));
    if (pid > 0) {
      children_.push_back({pid, id});
      try {
        const os::Fd pidfd = os::open_pidfd(pid);
        const int handle = pidfd.get();
        reply({kSpawned, pid, id, 0, 0, 0}, std::span(&handle, 1));
        return;
      } catch (const std::system_error& failure) {  // without a pidfd the caller could not be sure whom it signals
        error = failure.code().value();
        os::kill_child(pid);
        std::erase_if(children_, [&](const Child& child) { return child.pid == pid; });
      }
    }
    reply({kFailed, 0, id, error, 0, 0}, {});
  }

  [[noreturn]] void become_child(pid_t self, std::uint64_t id, std::vector<os::Fd> fds) noexcept {
    try {
      os::die_with_parent(self);
      socket_.reset();
      signals_.reset();
      parent_.reset();
      os::restore_action(SIGCHLD, child_action_);
      os::ignore_signal(SIGINT);
      os::restore_mask(mask_);
      os::exit_process(child_main_(context_, id, std::move(fds)));
    } catch (...) {
      os::exit_now(1);  // out of resources before it could work
    }
  }

  void reap() {
    while (const auto ended = os::try_wait_any()) {
      const auto child = std::find_if(children_.begin(), children_.end(),
                                      [&](const Child& candidate) { return candidate.pid == ended->first; });
      if (child == children_.end()) continue;
      const std::uint64_t id = child->id;
      children_.erase(child);
      const os::ExitStatus& status = ended->second;
      if (!finishing_) reply({kEnded, ended->first, id, status.code, status.core ? 1 : 0, status.max_rss_kib}, {});
    }
  }

  void terminate() {
    finishing_ = true;
    socket_.reset();
    parent_.reset();
    for (const Child& child : children_) os::kill_child(child.pid);
  }

  void reply(const ReplyMessage& message, std::span<const int> fds) {
    if (!socket_) return;
    os::PollItem items[] = {{.fd = socket_.get(), .want_write = true, .want_read = false}, {.fd = parent_.get()}};
    os::poll(items, os::Deadline::never());  // not a blocking send: a dead caller reads nothing
    if (items[1].readable || !os::send_message(socket_.get(), bytes_of(message), fds)) terminate();
  }

  TemplateProcess::ChildMain child_main_;
  void* context_;
  os::Fd socket_, signals_, parent_;
  sigset_t mask_;
  struct sigaction child_action_ {};  // the caller's for SIGCHLD: its children have it again
  std::vector<Child> children_;
  bool finishing_ = false;
};

}  // namespace

TemplateProcess::TemplateProcess(ChildMain child_main, void* context) : generation_(0) {
  auto [mine, theirs] = os::socket_pair();
  os::Fd self = os::open_pidfd(os::process_id());
  // No signal may reach the child before it has blocked them: a handler of the program would run in the template.
  const os::SignalMask mask;
  const pid_t caller = os::process_id();
  pid_ = os::fork_process();
  if (pid_ == 0) {
    mine.reset();
    if (os::parent_process_id() != caller) os::exit_now(0);
    Server(child_main, context, std::move(theirs), std::move(self), mask.previous()).run();
  }
  generation_ = os::fork_generation();
  try {
    pidfd_ = os::open_pidfd(pid_);
  } catch (...) {
    os::kill_child(pid_);
    os::reap_child(pid_);
    throw;
  }
  socket_ = std::move(mine);
}

TemplateProcess::~TemplateProcess() {
  if (generation_ == os::fork_generation()) terminate_now();
}

bool TemplateProcess::send(std::uint32_t kind, std::uint64_t id, std::span<const int> fds) {
  const RequestMessage request{kind, 0, id};
  while (!dead_) {
    os::PollItem item{.fd = socket_.get(), .want_write = true, .want_read = true};
    os::poll(std::span(&item, 1), os::Deadline::never());
    if (item.writable) return os::send_message(socket_.get(), bytes_of(request), fds);
    // The template may itself wait for room in the other direction: make it.
    if (auto event = receive(false)) early_.push_back(std::move(*event));
  }
  return false;
}

bool TemplateProcess::spawn(std::uint64_t id, std::span<const int> fds) { return send(kSpawn, id, fds); }

std::optional<ChildEvent> TemplateProcess::receive(bool wait) {
  if (dead_) return std::nullopt;
  ReplyMessage reply{};
  std::size_t length = 0;
  std::vector<os::Fd> fds;
  os::Received received = os::Received::message;
  try {
    received = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&reply, 1)), length, fds, wait);
  } catch (const std::system_error&) {
    // The message came, but its descriptor found no room here: the child is known by its pid only.
    if (reply.kind != kSpawned) throw;
    length = sizeof reply;
  }
  if (received == os::Received::nothing) return std::nullopt;
  ChildEvent event;
  if (received == os::Received::end || length != sizeof reply) {
    dead_ = true;
    event.kind = ChildEvent::Kind::template_died;
    return event;
  }
  event.id = reply.id;
  event.pid = reply.pid;
  switch (reply.kind) {
    case kSpawned:
      event.kind = ChildEvent::Kind::spawned;
      if (!fds.empty()) event.pidfd = std::move(fds.front());
      break;
    case kFailed:
      event.kind = ChildEvent::Kind::failed;
      event.error = reply.code;
      break;
    default:
      event.kind = ChildEvent::Kind::ended;
      event.status.code = reply.code;
      event.status.core = reply.core != 0;
      event.status.max_rss_kib = static_cast<long>(reply.max_rss_kib);
  }
  return event;
}

std::optional<ChildEvent> TemplateProcess::next_event() {
  if (!early_.empty()) {
    ChildEvent event = std::move(early_.front());
    early_.pop_front();
    return event;
  }
  return receive(false);
}

bool TemplateProcess::finish(os::Deadline deadline) {
  if (!finishing_) send(kFinish, 0, {});
  finishing_ = true;
  for (;;) {
    os::PollItem items[] = {{.fd = pidfd_.get()}, {.fd = dead_ ? -1 : socket_.get()}};
    if (os::poll(items, deadline) == 0) return false;
    if (items[0].readable && os::try_wait(pidfd_)) return true;
    // What it still has to say must be read, or it would wait for room for ever.
    if (items[1].readable) receive(false);
  }
}

void TemplateProcess::terminate_now() noexcept {
  constexpr std::int64_t kPatienceNs = 2'000'000'000;
  if (pidfd_.get() < 0) return;
  // Asked first, so that the template reaps its children and no zombie is left to whoever inherits orphans.
  os::send_nowait(socket_.get(), bytes_of(RequestMessage{kTerminate, 0, 0}));
  os::shut_down(socket_.get());
  if (os::wait_for_exit(pidfd_.get(), os::now_ns() + kPatienceNs)) return;
  os::kill_pidfd(pidfd_.get());  // stopped or starved: the kernel then kills its children
  os::wait_for_exit(pidfd_.get(), os::now_ns() + kPatienceNs);
}

}  // namespace brood::proc
