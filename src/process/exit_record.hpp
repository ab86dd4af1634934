// A few words that a parent and one child share: the go-ahead at the child's start, and the exit code at its end.
//
// The code is written down because the kernel's copy can be lost: whoever reaps the child first (the program's own
// waitpid(-1), or nobody when SIGCHLD is ignored) takes it away. A child that another process reaps, the fork server,
// has two codes: what it said itself, and what the one who reaped it saw.
//
// The records of a process lie in one memory file, so that children which inherit nothing can be given theirs.
//
// Thread safety: allocate(), release() and file() need process_lock(); the words are for one parent, one child and
// whoever reaps it. Across fork: a child keeps the words it was given, and has records of its own for its children.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "os/clock.hpp"
#include "os/fd.hpp"

namespace brood::proc {

class ExitRecord {
 public:
  static ExitRecord* allocate();
  // One that somebody may still write to is not used again.
  void release() noexcept;
  // In a child of fork, before it allocates: the free ones belong to the parent.
  static void forget_all() noexcept;

  // The file of all records, and which of them this is: what ExitRecords in another process needs.
  static int file();
  std::uint32_t number() const noexcept { return number_; }

  // The parent, once: lets the child run, or makes it leave.
  void give_go_ahead(bool go) noexcept;
  // The child: whether it may run. False also when the parent is gone before it has said anything.
  bool wait_for_go_ahead(pid_t parent);

  void set_code(int code) noexcept;          // the child, or the last thing it does
  std::optional<int> code() const noexcept;  // the parent, when the child has ended

  // How the child ended: -N for signal N.
  void expect_verdict(bool expected) noexcept;                       // the parent: whether somebody else will reap it
  void set_verdict(int code) noexcept;                               // whoever has reaped it
  std::optional<int> wait_for_verdict(os::Deadline deadline) const;  // the parent

 private:
  bool may_be_written() const noexcept;

  enum Gate : std::uint32_t { kUndecided, kAwaited, kGo, kStop, kReapedElsewhere };

  std::atomic<std::uint32_t> gate_;     // parent and child, by exchange
  std::atomic<std::uint32_t> code_;     // 0, or kRecorded | exit status; written by the child
  std::atomic<std::uint32_t> verdict_;  // 0, or kSeen + code; written by whoever reaps it
  std::uint32_t number_;                // parent only
};

// The records of another process. Thread safety: one thread at a time. Across fork: the child may use its copy.
class ExitRecords {
 public:
  explicit ExitRecords(os::Fd file) noexcept : file_(std::move(file)) {}
  // Stays mapped for good.
  ExitRecord& at(std::uint32_t number);

 private:
  os::Fd file_;
  std::vector<ExitRecord*> pages_;
};

}  // namespace brood::proc
