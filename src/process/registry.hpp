// The processes that this one has started, and who this one is.
//
// One lock guards everything in this room, and every fork of the program takes it for the moment of the fork: so the
// child finds all of it in order whatever other threads were doing, and starts with an empty registry.
#pragma once

#include <brood/process.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.hpp"
#include "os/lifeline.hpp"
#include "process/exit_record.hpp"

namespace brood::detail {

// One process as its handle sees it.
struct ProcessState {
  enum class Phase { fresh, starting, running, ended };

  // Constant after construction, readable in any process.
  std::string name;
  std::string identity;  // "2" for the second child of the main process, "2:1" for its first
  bool daemon = false;
  std::optional<StartMethod> method;
  std::uint64_t fork_generation = 0;

  // Guarded by process_lock(); in a child of fork nobody else is there.
  Phase phase = Phase::fresh;
  bool closed = false;
  pid_t pid = 0;
  int exitcode = 0;                      // when ended
  ProcessBody* body = nullptr;           // until the start
  os::Fd pidfd;                          // from the start until close(); readable when the process has ended
  unsigned waiters = 0;                  // threads that poll `pidfd`
  ProcessInfo parent;                    // since the start
  std::shared_ptr<const os::Fd> reaper;  // the pidfd of the fork server, which reaps it; null: this process does
  os::Lifeline lifeline;                 // of a daemon that the main thread did not fork itself
  proc::ExitRecord* record = nullptr;    // while starting or running
  ProcessState* previous = nullptr;      // in the registry while starting or running
  ProcessState* next = nullptr;

  ProcessState() = default;
  ProcessState(const ProcessState&) = delete;
  ProcessState& operator=(const ProcessState&) = delete;
  ~ProcessState() { delete body; }
};

}  // namespace brood::detail

namespace brood::proc {

using detail::ProcessState;

// Holds the lock of this room. Nothing that may fork, wait or call the program's code runs under it.
std::unique_lock<std::mutex> process_lock();

// All of these need the lock.
void add_to_registry(ProcessState& state) noexcept;
void remove_from_registry(ProcessState& state) noexcept;
// Looks whether a running process has ended and, if so, reaps it and brings its state up to date.
void update(ProcessState& state);
// The next number for a child of this process: "1", or "1:1" in Process-1.
std::string next_identity();
// If it was the last one given: nobody will have it.
void take_back_identity(const ProcessState& state);

// The thread's process that is being started: the child of its fork keeps what belongs to that one.
void set_starting(ProcessState* state) noexcept;
// In the child: this process is `state` from now on. Takes its end of the lifeline over and returns it,
// -1 when there is none.
int become(ProcessState& state);
// Whether this process, or the one that it is a plain fork of, is the one that `state` stands for.
bool is_self(const ProcessState& state) noexcept;
// Whether it is this very process.
bool is_current(const ProcessState& state) noexcept;

}  // namespace brood::proc
