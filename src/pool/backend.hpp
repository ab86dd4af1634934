// The seam behind the dispatcher: whatever can start workers and tell of their ends.
//
// A backend hands out the dispatcher's end of a channel; who serves the other end, a forked process, a thread of a test
// or a proxy of a remote engine, is its own affair, as long as it keeps the protocol of src/channel/README.md.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "channel/link.hpp"
#include "os/clock.hpp"
#include "os/pidfd.hpp"

namespace brood::engine {

struct WorkerEvent {
  enum class Kind {
    started,      // pid is known
    not_started,  // error: errno
    ended,        // nothing of it runs any more, and nothing will be written to its channel
  };
  Kind kind = Kind::ended;
  unsigned slot = 0;
  std::uint64_t epoch = 0;
  pid_t pid = 0;
  int error = 0;
  os::ExitStatus status;
};

class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // Begins to start a worker; frames may be written to its channel at once.
  virtual std::unique_ptr<channel::DispatcherEnd> start(unsigned slot, std::uint64_t epoch) = 0;
  // What happened since, without blocking.
  virtual std::optional<WorkerEvent> next_event() = 0;
  // Readable when next_event() may have something; negative: never.
  virtual int event_fd() const noexcept = 0;
  // SIGKILL, or what comes nearest; nothing when the slot has no worker.
  virtual void kill(unsigned slot) noexcept = 0;

  // After every worker was told to stop: waits until all have ended. False at the deadline.
  virtual bool finish(os::Deadline deadline) = 0;
  // Kills every worker. Async-signal-safe, idempotent, bounded, callable from any thread.
  virtual void terminate() noexcept = 0;
};

}  // namespace brood::engine
