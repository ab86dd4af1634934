// The template process: a small, single-threaded, idle process whose children are the workers.
//
// It is a copy of its caller (fork), or a clean process of the same program (forkserver, spawn).
//
// Workers come from it instead of from the caller, so that replacing one never forks a threaded program and
// PR_SET_PDEATHSIG is reliable (it fires when the forking *thread* ends; the template has one thread). The caller dies:
// the template sees it on a pidfd, kills the workers and ends. The template dies: the kernel kills the workers.
//
// Protocol (one SOCK_SEQPACKET pair): spawn(id, fds) -> spawned(id, pid, pidfd) or failed(id, errno), later
// ended(id, status); kill(id); finish: answer nothing more, end when the last child has ended; terminate: SIGKILL all,
// then end.
//
// A child that ends badly is usually replaced, and a fork takes as long as all the rest of that. So the template forks
// a spare right after such a death, while its caller still deals with the news; the next spawn without fds is then only
// a word to the spare. For two seconds after a death there is a spare for the next one.
//
// Thread safety: one thread at a time, except terminate_now(), which any thread and any signal handler may call.
// Across fork: the copy in a child owns only fds; destroying it there does nothing to the template.
#pragma once

#include <brood/start_method.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "os/clock.hpp"
#include "os/fd.hpp"
#include "os/pidfd.hpp"
#include "os/poll_set.hpp"

namespace brood::proc {

struct ChildEvent {
  enum class Kind { spawned, failed, ended, template_died };
  Kind kind = Kind::ended;
  std::uint64_t id = 0;
  pid_t pid = 0;
  int error = 0;          // failed: errno of fork
  os::ExitStatus status;  // ended
  os::Fd pidfd;           // spawned; none if there was no room for it
};

// What a template that need not be a copy of its caller has of it.
struct TemplateContext {
  std::string bytes = {};
  std::vector<os::Fd> fds = {};
};

class TemplateProcess {
 public:
  // What a child runs; its return value is the exit code. `fds` are the child's to close.
  using ChildMain = int (*)(void* context, std::uint64_t id, std::vector<os::Fd> fds);

  // Forks the template from the calling process: children see the caller's memory as it is now.
  TemplateProcess(ChildMain child_main, void* context);
  // Begins the template by any method; the children's context is a TemplateContext with `bytes` and copies of `fds`.
  // `who`: for errors, which are those of begin_process().
  TemplateProcess(StartMethod method, ChildMain child_main, std::string bytes, std::span<const int> fds,
                  const std::string& who);
  ~TemplateProcess();
  TemplateProcess(const TemplateProcess&) = delete;
  TemplateProcess& operator=(const TemplateProcess&) = delete;

  pid_t pid() const noexcept { return pid_; }
  // Readable when next_event() may have something, unless it has_event() already.
  int event_fd() const noexcept { return news_.fd(); }
  // next_event() will have something: it was read while a request waited for room.
  bool has_event() const noexcept { return !early_.empty(); }

  // Asks for a child; the fds are duplicated into it. False: the template is dead.
  bool spawn(std::uint64_t id, std::span<const int> fds);
  // SIGKILL for a child that has been spawned and whose pidfd is not known: the template can be sure whom it hits,
  // since it is the one who reaps. Nothing when the child has ended. False: the template is dead.
  bool kill(std::uint64_t id);
  // The next thing that happened, without blocking. template_died comes once, last; all children are then dead or
  // dying.
  std::optional<ChildEvent> next_event();

  // Waits until every child has ended by itself, then for the template: false at the deadline.
  bool finish(os::Deadline deadline);
  // Kills the children and the template. Async-signal-safe, idempotent, bounded (about two seconds at the very worst).
  void terminate_now() noexcept;

 private:
  void begin_fork(ChildMain child_main, void* context);
  void watch(os::Fd socket);
  bool send(std::uint32_t kind, std::uint64_t id, std::span<const int> fds);
  std::optional<ChildEvent> receive();

  pid_t pid_ = 0;
  std::uint64_t generation_;
  os::Fd socket_, pidfd_;
  os::PollSet news_;  // of both: whoever was forked in a bad moment holds the template's end of the socket open
  std::deque<ChildEvent> early_;  // events read while a request waited for room
  bool dead_ = false;
  bool finishing_ = false;
};

}  // namespace brood::proc
