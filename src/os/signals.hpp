// Signal masks, dispositions, and signals as a descriptor. brood never changes the dispositions of the program's own
// process; these are for its helper processes and the children it starts.
//
// Thread safety: a mask belongs to its thread, dispositions to the process. Across fork: the child inherits both.
#pragma once

#include <csignal>
#include <initializer_list>
#include <optional>

#include "os/fd.hpp"

namespace brood::os {

// Blocks signals in this thread for as long as it lives.
class SignalMask {
 public:
  // Every signal (the kernel leaves SIGKILL and SIGSTOP out).
  SignalMask();
  explicit SignalMask(std::initializer_list<int> signals);
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask();

  // What the mask was before, and will be again.
  const sigset_t& previous() const noexcept { return previous_; }

 private:
  sigset_t previous_;
};

// In a new process: every signal that has a handler gets the default disposition (ignored ones stay ignored, as after
// exec) and the mask becomes empty.
void reset_signals_in_child();

void ignore_signal(int signal);
void default_signal(int signal);
// Whether the process has neither a handler for the signal nor ignores it.
bool has_default_action(int signal);

// Blocks or unblocks signals in this thread, not undone.
void block_signals(std::initializer_list<int> signals);
void unblock_signals(std::initializer_list<int> signals);

// A non-blocking descriptor that is readable when one of `signals` is pending. They must be blocked in every thread.
Fd make_signalfd(std::initializer_list<int> signals);
// The number of the next pending signal, which is then no longer pending.
std::optional<int> read_signal(int signalfd);

}  // namespace brood::os
