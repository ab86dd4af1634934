#include "process/template_server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "os/async_safe.hpp"
#include "os/cpu.hpp"
#include "os/fork.hpp"
#include "os/futex.hpp"
#include "os/memory.hpp"
#include "os/poll.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "process/template_protocol.hpp"

namespace brood::proc {
namespace {

// Between the template and its spare: whom to be.
struct Role {
  std::atomic<std::uint32_t> given{0};
  std::uint64_t id = 0;
};

// A death is seldom the only one: so long after it a spare is kept at hand.
constexpr std::int64_t kBadTimesNs = 2'000'000'000;
// The next spare is not forked while the last one begins its work.
constexpr std::int64_t kPauseNs = 5'000'000;
constexpr auto kRequestPatience = std::chrono::microseconds(300);
constexpr auto kLookInterval = std::chrono::milliseconds(20);

// Everything it holds was made before or is plain data: no locks of the caller are touched.
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
      const os::Deadline deadline = spare_pid_ != 0 ? bad_until_ : prepare_at_;
      const bool look = !alone_ && !children_.empty();
      if (os::poll(items, look ? os::Deadline::after(kLookInterval) : deadline) == 0 && look) reap();
      if (deadline.passed()) {
        if (spare_pid_ != 0) {
          dismiss_spare();
        } else {
          prepare_spare();
        }
      }
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
    bool named = true;  // false: a spare, of whose end nobody wants to know
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
      dismiss_spare();
    } else if (request.kind == kKill) {
      for (const Child& child : children_) {
        if (child.named && child.id == request.id) os::kill_child(child.pid);
      }
    } else {
      spawn(request.id, std::move(fds));
    }
  }

  void spawn(std::uint64_t id, std::vector<os::Fd> fds) {
    pid_t pid = fds.empty() ? name_spare(id) : 0;
    if (pid == 0) {
      try {
        pid = fork_child([&] { return child_main_(context_, id, std::move(fds)); });
      } catch (const std::system_error& failure) {
        return reply({kFailed, 0, id, failure.code().value(), 0, 0}, {});
      }
      children_.push_back({pid, id});
    }
    const ReplyMessage spawned{kSpawned, pid, id, 0, 0, 0};
    try {
      const os::Fd pidfd = os::open_pidfd(pid);
      const int handle = pidfd.get();
      reply(spawned, std::span(&handle, 1));
    } catch (const std::system_error&) {  // no room for a descriptor here, or for more on their way
      reply(spawned, {});
    }
  }

  // body(): what the child does, after it has settled. Its result is the exit code.
  template <class Body>
  pid_t fork_child(Body body) {
    const pid_t self = os::process_id();
    const pid_t pid = os::fork_process();
    if (pid != 0) return pid;
    become_child(self, std::move(body));
  }

  template <class Body>
  [[noreturn]] void become_child(pid_t self, Body body) noexcept {
    try {
      os::die_with_parent(self);
      socket_.reset();
      signals_.reset();
      parent_.reset();
      os::restore_action(SIGCHLD, child_action_);
      os::ignore_signal(SIGINT);
      os::restore_mask(mask_);
      os::exit_process(body());
    } catch (...) {
      os::exit_now(1);  // out of resources before it could work
    }
  }

  // --- the spare --------------------------------------------------------------------------------------------------

  void prepare_spare() {
    prepare_at_ = os::Deadline::never();
    if (spare_pid_ != 0 || finishing_) return;
    try {
      os::Mapping memory = os::Mapping::anonymous_shared(sizeof(Role));
      Role* const role = ::new (static_cast<void*>(memory.data())) Role;
      children_.reserve(children_.size() + 1);
      spare_pid_ = fork_child([&] {
        while (role->given.load(std::memory_order_acquire) == 0) os::futex_wait(role->given, 0, os::Deadline::never());
        const std::uint64_t id = role->id;
        os::Mapping().swap(memory);
        return child_main_(context_, id, {});
      });
      children_.push_back({.pid = spare_pid_, .id = 0, .named = false});
      spare_memory_ = std::move(memory);
    } catch (const std::exception&) {
      // Whoever asks for a child will hear of it.
    }
  }

  // The spare becomes the child `id`: its pid, or 0 when there is none. Should it be dead already, that child has died.
  pid_t name_spare(std::uint64_t id) {
    for (Child& child : children_) {
      if (child.pid != spare_pid_) continue;
      child.id = id;
      child.named = true;
      Role& role = *std::launder(reinterpret_cast<Role*>(spare_memory_.data()));
      role.id = id;
      role.given.store(1, std::memory_order_release);
      os::futex_wake(role.given, 1);
      forget_spare();
      if (!bad_until_.passed()) prepare_at_ = os::Deadline::at(os::now_ns() + kPauseNs);
      return child.pid;
    }
    return 0;
  }

  void dismiss_spare() {
    if (spare_pid_ == 0) return;
    os::kill_child(spare_pid_);
    forget_spare();
  }

  void forget_spare() {
    spare_pid_ = 0;
    os::Mapping().swap(spare_memory_);
  }

  // --- ends -------------------------------------------------------------------------------------------------------

  void reap() {
    bool any_died = false;
    while (const auto ended = os::try_wait_any()) {
      const auto found = std::find_if(children_.begin(), children_.end(),
                                      [&](const Child& candidate) { return candidate.pid == ended->first; });
      if (found == children_.end()) continue;
      const Child child = *found;
      children_.erase(found);
      if (child.pid == spare_pid_) forget_spare();
      if (!child.named) continue;
      const os::ExitStatus& status = ended->second;
      any_died |= status.code != 0;
      if (!finishing_) reply({kEnded, child.pid, child.id, status.code, status.core ? 1 : 0, status.max_rss_kib}, {});
    }
    if (!any_died) return;
    bad_until_ = os::Deadline::at(os::now_ns() + kBadTimesNs);
    prepare_spare();
    // The request for a successor is on its way: it takes less time than a sleep and a wake-up.
    static const bool may_spin = os::cpu_count() > 1;
    const auto patience = os::Deadline::after(kRequestPatience);
    while (may_spin && socket_ && !os::wait_readable(socket_.get(), os::Deadline::at(0)) && !patience.passed()) {
      os::cpu_relax();
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
  pid_t spare_pid_ = 0;
  os::Mapping spare_memory_;  // its Role
  os::Deadline bad_until_ = os::Deadline::at(0);
  os::Deadline prepare_at_ = os::Deadline::never();
  bool finishing_ = false;
  // A thread that the program began before init() may take the signal of a child's end away from us.
  const bool alone_ = os::is_single_threaded();
};

}  // namespace

void serve_as_template(TemplateProcess::ChildMain child_main, void* context, os::Fd socket, os::Fd parent,
                       const sigset_t& mask) noexcept {
  Server(child_main, context, std::move(socket), std::move(parent), mask).run();
}

}  // namespace brood::proc
