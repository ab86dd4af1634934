// A flag that poll() can wait for (eventfd).
//
// Thread and process safety: set() and clear() from anywhere; set() also in a signal handler.
// Across fork: parent and child share the flag.
#pragma once

#include "os/fd.hpp"

namespace brood::os {

class Event {
 public:
  Event();
  // Takes the descriptor of another Event, received from another process.
  static Event adopt(Fd fd) noexcept { return Event(static_cast<Fd&&>(fd)); }

  // Readable while set.
  int fd() const noexcept { return fd_.get(); }
  void set() noexcept;
  // True when it had been set.
  bool clear() noexcept;

 private:
  explicit Event(Fd fd) noexcept : fd_(static_cast<Fd&&>(fd)) {}

  Fd fd_;
};

}  // namespace brood::os
