// A function that runs in a process of its own.
//
//   brood::Process p([](int n) { std::printf("child %d: %d\n", brood::current_process().pid, n); }, 7);
//   p.start();
//   p.join();
//   assert(p.exitcode() == 0);
//
// Under `fork` the child begins as a copy of this process with one thread, the one that called start(). It runs the
// function and ends; it never returns into the code around start(). Output that was buffered before start() is written
// once, by the parent. At the end of the function the child destroys the function and its arguments, writes what is
// buffered in stdio and the standard streams, and leaves without running destructors of static objects or atexit
// functions: those are the parent's. (A child that calls std::exit does run them.)
//
// Under `spawn` and `forkserver` the child is a process of the same program that inherits nothing but the standard
// streams, the working directory and the environment. The function and its arguments are sent to it (brood/archive.hpp
// says what can be; an address that a lambda captured means nothing there). main() must begin with brood::init(argc,
// argv). A child by `spawn` ends as a program does, one by `forkserver` as one by `fork`. docs/start-methods.md has the
// rest.
//
// Failures of the system are std::system_error, misuse is ProcessError.
#pragma once

#include <brood/detail/durations.hpp>
#include <brood/detail/process.hpp>
#include <brood/error.hpp>
#include <brood/start_method.hpp>

#include <sys/types.h>

#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace brood {

// The first line of main() in a program that uses `spawn` or `forkserver`: in a child of those it runs the child's work
// and does not return. In every other process it notes the arguments, which such children are given too, and returns;
// under `fork` alone it is not needed. What the program does before this line, it does in every such child.
//
// Thread safety: none; no other thread may run yet.
void init(int argc, char** argv);

// The method of every Process and Pool that does not name one itself; `fork` at first.
// Thread safety: all. Across fork: a child, however it was started, has its parent's choice.
void set_start_method(StartMethod method);
StartMethod get_start_method() noexcept;
std::vector<StartMethod> get_all_start_methods();

// The number of CPUs this process may use at this moment: affinity mask and cgroup quota (rounded up), at least 1.
unsigned cpu_count();

struct ProcessOptions {
  // Empty: "Process-1", "Process-2", ... in the order of construction; children of Process-1 are "Process-1:1", ...
  std::string name = {};
  // Ends together with the process that started it, however that one ends: see ~Process. May have children.
  bool daemon = false;
  std::optional<StartMethod> start_method = {};
};

// A process of the family at one moment.
struct ProcessInfo {
  pid_t pid = 0;
  std::string name = {};
  bool daemon = false;
};

// Process::exitcode() when the process has ended and nobody can tell how: the program reaped it itself (waitpid(-1), or
// SIGCHLD ignored), the kernel is older than Linux 6.15, and it neither returned nor called std::exit. No process ends
// with this code.
inline constexpr int kUnknownExitcode = -2147483647 - 1;

// Ownership: a handle of one process; movable, and the moved-from handle may only be destroyed or assigned to. A class
// derived from it may be moved too: before start() it takes its members along; moved into a plain Process it leaves its
// run() behind, so that this can no longer be started. After start() the child has its own copy of all of it.
//
// Thread safety: one handle may be used from several threads at once (several join(), is_alive() while another joins,
// terminate()), except that nothing may overlap with moving or destroying it. Any number of threads may start processes
// at the same time, whatever locks other threads hold; the child must not wait for such a lock, since its holder is not
// there.
//
// Signals: the program's SIGCHLD handling is left alone, and brood needs none.
//
// Across fork: only the process that constructed a handle may use it. In a child its name() and daemon() are readable,
// pid() too; everything else throws ProcessError, and its destructor does nothing. (The child's own handle, inside
// run(), also says is_alive().)
class Process {
 public:
  // For derived classes, which override run().
  Process();
  explicit Process(ProcessOptions options);

  // Will call f(args...) in the child. As with std::thread: copies of `f` and `args` are kept (use std::ref for
  // references) and handed over as rvalues, so both may be move-only. The parent's copies are destroyed as soon as
  // start() has succeeded, so that a connection that was moved in here is then open in the child only.
  template <class F, class... Args>
  requires(!std::is_base_of_v<Process, std::decay_t<F>> &&
           !std::is_same_v<ProcessOptions, std::decay_t<F>>) explicit Process(F&& f, Args&&... args)
      : Process(ProcessOptions{}, detail::make_process_body(std::forward<F>(f), std::forward<Args>(args)...)) {}

  template <class F, class... Args>
  requires(!std::is_same_v<detail::ProcessBodyOwner, std::decay_t<F>>)
      Process(ProcessOptions options, F&& f, Args&&... args)
      : Process(std::move(options), detail::make_process_body(std::forward<F>(f), std::forward<Args>(args)...)) {}

  Process(Process&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  // Ends the process it had as the destructor does.
  Process& operator=(Process&& other) noexcept;

  // Waits for a process that was started. A daemon is asked to end (SIGTERM), killed when it has not ended a second
  // later, and waited for. Nothing for one that was never started, was moved from, or was constructed by another
  // process.
  //
  // A daemon also ends (SIGKILL) when its parent ends without coming here: by a signal, or by std::exit.
  virtual ~Process();

  // What the child does: calls the function given at construction. A class that overrides this needs none. Such a class
  // can be started by `fork` only, unless it derives from ProcessType.
  virtual void run();

  // Starts the process; `f` runs only if this returns. A second start() is a ProcessError; one that failed with
  // std::system_error (EAGAIN, ENOMEM, EMFILE) may be repeated.
  //
  // By `spawn` and `forkserver` it waits until the child has loaded the function and its arguments, however long that
  // takes; ProcessError says why it could not, or that it died of it. A function or an argument that can only be
  // inherited is a ProcessError, too.
  //
  // An exception that leaves the function is printed to the child's stderr, type and text in one line and one write;
  // the exit code is then 1.
  void start();

  // Waits for the end. ProcessError when it was not started.
  void join();
  // The same for at most `duration`: true when it has ended.
  bool join_for(std::chrono::nanoseconds duration);

  // 0 before start(). After the end it may already be another process's: use terminate() and kill() to send signals.
  pid_t pid() const;
  const std::string& name() const;
  bool daemon() const;
  bool is_alive() const;
  // Nothing before the end. The exit status, -N when signal N ended it, or kUnknownExitcode.
  std::optional<int> exitcode() const;

  // SIGTERM and SIGKILL; nothing for a process that has ended. They do not wait.
  void terminate();
  void kill();

  // Gives back what the handle holds: afterwards only name() and daemon() may be asked. ProcessError while it runs.
  // Doing it twice is fine.
  void close();

  // A descriptor that is readable from the end of the process on, for poll, select or epoll. It belongs to the handle
  // and lives until close() or destruction: do not read it and do not close it.
  int sentinel() const;

 private:
  template <class X>
  friend class ProcessType;
  friend class detail::ProcessAccess;

  Process(ProcessOptions options, detail::ProcessBodyOwner body);
  virtual const detail::ProcessImage& save(wire::Writer& writer) const;
  detail::ProcessState& state() const;
  void start_by_fork(detail::ProcessState& state, bool by_main_thread);
  void start_afresh(detail::ProcessState& state, StartMethod method);
  void finish() noexcept;

  detail::ProcessState* state_ = nullptr;
};

// The base of a class whose objects can be started under every start method: X derives from ProcessType<X> and
// overrides run(). For the methods other than `fork` it has a default constructor, with which the child begins, and a
// `template <class A> void serialize(A&)` for the members that the child gets from the parent's object (as in
// <brood/archive.hpp>; not needed when it has no members).
template <class X>
class ProcessType : public Process {
 public:
  ProcessType() = default;
  explicit ProcessType(ProcessOptions options) : Process(std::move(options)) {}

 private:
  const detail::ProcessImage& save(wire::Writer& writer) const final {
    if (typeid(*this) != typeid(X)) {
      detail::refuse_to_send(
          "its class is derived from a class X that is derived from brood::ProcessType<X>, so that only an X could be "
          "sent; derive it from a brood::ProcessType of its own");
    }
    return detail::save_object<Process>(static_cast<const X&>(*this), writer);
  }
};

// The processes started from this one that have not ended yet, in the order of their start; reaps those that have.
// Thread safety: all. Across fork: a child begins with none.
std::vector<ProcessInfo> active_children();

// The process this is called in; "MainProcess" when brood did not start it.
ProcessInfo current_process();

// The process that started this one; nothing when brood did not start it.
std::optional<ProcessInfo> parent_process();

}  // namespace brood
