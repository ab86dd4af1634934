// A few words that a parent and one child share: the go-ahead at the child's start, and the exit code at its end.
//
// The code is written down because the kernel's copy can be lost: whoever reaps the child first (the program's own
// waitpid(-1), or nobody when SIGCHLD is ignored) takes it away.
//
// Thread safety: allocate() and release() need process_lock(); the words are for one parent and one child.
// Across fork: a child keeps the words it was given, and has records of its own for its children.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>

namespace brood::proc {

class ExitRecord {
 public:
  static ExitRecord* allocate();
  void release() noexcept;
  // In a child of fork, before it allocates: the free ones belong to the parent.
  static void forget_all() noexcept;

  // The parent, once: lets the child run, or makes it leave.
  void give_go_ahead(bool go) noexcept;
  // The child: whether it may run. False also when the parent is gone before it has said anything.
  bool wait_for_go_ahead(pid_t parent);

  void set_code(int code) noexcept;          // the child, or the last thing it does
  std::optional<int> code() const noexcept;  // the parent, when the child has ended

 private:
  enum Gate : std::uint32_t { kUndecided, kAwaited, kGo, kStop };

  std::atomic<std::uint32_t> gate_;  // parent and child, by exchange
  std::atomic<std::uint32_t> code_;  // 0, or kRecorded | exit status; written by the child
  ExitRecord* next_free_;            // parent only
};

}  // namespace brood::proc
