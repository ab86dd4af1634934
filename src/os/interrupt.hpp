// Ctrl-C (SIGINT) as something that a waiting call can report, for programs that have no handler of their own.
//
// While a watch lives and the program has left SIGINT at its default action, the signal is counted instead of ending
// the process, if a call waits at that moment. Otherwise, and at a second one before the first was reported, the
// default action is taken. A handler that the program installs at any time is left alone.
//
// Thread safety: all. Across fork: a child in which no call waits takes the default action.
#pragma once

#include <cstdint>

namespace brood::os {

// Ends the process as SIGINT does by default, when a call was interrupted and has nobody to tell. Returns only when the
// program has chosen another action meanwhile.
void end_by_interrupt() noexcept;

class InterruptWatch {
 public:
  // `event_fd`: an eventfd that is set at each interrupt.
  explicit InterruptWatch(int event_fd);
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  ~InterruptWatch();

 private:
  int slot_ = -1;
};

// A call that can report an interrupt, while it lives.
class InterruptibleCall {
 public:
  InterruptibleCall() noexcept;
  InterruptibleCall(const InterruptibleCall&) = delete;
  InterruptibleCall& operator=(const InterruptibleCall&) = delete;
  ~InterruptibleCall();

  // Whether there was an interrupt since the call began.
  bool interrupted() const noexcept;
  // The call reports it now.
  static void reported() noexcept;

 private:
  std::uint64_t begun_;
};

}  // namespace brood::os
