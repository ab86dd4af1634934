#include "process/template_process.hpp"

#include <system_error>
#include <utility>

#include "os/async_safe.hpp"
#include "os/fork.hpp"
#include "os/poll.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "process/fresh_process.hpp"
#include "process/template_protocol.hpp"
#include "process/template_server.hpp"

namespace brood::proc {
namespace {

// For the end of a template that was told to.
constexpr std::int64_t kPatienceNs = 2'000'000'000;

}  // namespace

TemplateProcess::TemplateProcess(ChildMain child_main, void* context) : generation_(os::fork_generation()) {
  begin_fork(child_main, context);
}

TemplateProcess::TemplateProcess(StartMethod method, ChildMain child_main, std::string bytes, std::span<const int> fds,
                                 const std::string& who)
    : generation_(os::fork_generation()) {
  if (method == StartMethod::fork) {
    TemplateContext context{.bytes = std::move(bytes)};
    for (const int fd : fds) context.fds.emplace_back(fd);
    struct Keep {  // they are the caller's; only the template has them for its own
      TemplateContext& context;
      ~Keep() {
        for (os::Fd& fd : context.fds) fd.release();
      }
    } const keep{context};
    begin_fork(child_main, &context);
    return;
  }
  check_can_begin(method, who);
  wire::Writer letter;
  introduce(letter, Kind::pool_template, method);
  wire::save(letter, TemplateIntroduction{.child_main = wire::locate(reinterpret_cast<const void*>(child_main)),
                                          .context = std::move(bytes)});
  FreshProcess process = begin_process({.method = method, .who = who}, letter, fds);
  pid_ = process.pid;
  pidfd_ = std::move(process.pidfd);
  try {
    watch(std::move(process.socket));
  } catch (...) {
    os::kill_pidfd(pidfd_.get());
    os::wait_for_exit(pidfd_.get(), os::now_ns() + kPatienceNs);
    throw;
  }
}

void TemplateProcess::begin_fork(ChildMain child_main, void* context) {
  auto [mine, theirs] = os::socket_pair();
  os::Fd self = os::open_pidfd(os::process_id());
  // No signal may reach the child before it has blocked them: a handler of the program would run in the template.
  const os::SignalMask mask;
  const pid_t caller = os::process_id();
  pid_ = os::fork_process();
  if (pid_ == 0) {
    mine.reset();
    if (os::parent_process_id() != caller) os::exit_now(0);
    serve_as_template(child_main, context, std::move(theirs), std::move(self), mask.previous());
  }
  theirs.reset();
  try {
    pidfd_ = os::open_pidfd(pid_);
    watch(std::move(mine));
  } catch (...) {
    os::kill_child(pid_);
    os::reap_child(pid_);
    throw;
  }
}

void TemplateProcess::watch(os::Fd socket) {
  news_ = os::PollSet::make();
  news_.add(socket.get());
  news_.add(pidfd_.get());
  socket_ = std::move(socket);
}

TemplateProcess::~TemplateProcess() {
  if (generation_ == os::fork_generation()) terminate_now();
}

bool TemplateProcess::send(std::uint32_t kind, std::uint64_t id, std::span<const int> fds) {
  const RequestMessage request{kind, 0, id};
  while (!dead_) {
    os::PollItem items[] = {{.fd = socket_.get(), .want_write = true, .want_read = true}, {.fd = pidfd_.get()}};
    os::poll(items, os::Deadline::never());
    if (items[0].writable && !items[1].readable) return os::send_message(socket_.get(), bytes_of(request), fds);
    // The template may itself wait for room in the other direction: make it.
    early_.emplace_back();  // first: what is read must not be lost for want of memory
    if (auto event = receive()) {
      early_.back() = std::move(*event);
    } else {
      early_.pop_back();
    }
  }
  return false;
}

bool TemplateProcess::spawn(std::uint64_t id, std::span<const int> fds) { return send(kSpawn, id, fds); }

bool TemplateProcess::kill(std::uint64_t id) { return send(kKill, id, {}); }

std::optional<ChildEvent> TemplateProcess::receive() {
  if (dead_) return std::nullopt;
  ReplyMessage reply{};
  std::size_t length = 0;
  std::vector<os::Fd> fds;
  fds.reserve(1);  // likewise
  const auto try_receive = [&] {
    try {
      return os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&reply, 1)), length, fds, false);
    } catch (const std::system_error&) {
      // The message came, but its descriptor found no room here: the child is known by its pid only.
      if (reply.kind != kSpawned) throw;
      length = sizeof reply;
      return os::Received::message;
    }
  };
  os::Received received = try_receive();
  if (received == os::Received::nothing) {
    if (!os::wait_readable(pidfd_.get(), os::Deadline::at(0))) return std::nullopt;
    received = try_receive();  // its last words
    if (received == os::Received::nothing) received = os::Received::end;
  }
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
  return receive();
}

bool TemplateProcess::finish(os::Deadline deadline) {
  if (!finishing_) send(kFinish, 0, {});
  finishing_ = true;
  for (;;) {
    os::PollItem items[] = {{.fd = pidfd_.get()}, {.fd = dead_ ? -1 : socket_.get()}};
    if (os::poll(items, deadline) == 0) return false;
    if (items[0].readable && os::try_wait(pidfd_)) return true;
    // What it still has to say must be read, or it would wait for room for ever.
    if (items[1].readable) receive();
  }
}

void TemplateProcess::terminate_now() noexcept {
  if (pidfd_.get() < 0) return;
  // Asked first, so that the template reaps its children and no zombie is left to whoever inherits orphans.
  os::send_nowait(socket_.get(), bytes_of(RequestMessage{kTerminate, 0, 0}));
  os::shut_down(socket_.get());
  if (os::wait_for_exit(pidfd_.get(), os::now_ns() + kPatienceNs)) return;
  os::kill_pidfd(pidfd_.get());  // stopped or starved: the kernel then kills its children
  os::wait_for_exit(pidfd_.get(), os::now_ns() + kPatienceNs);
}

}  // namespace brood::proc
