// Waiting for several descriptors.
//
// Thread safety: any thread, each with its own items. Across fork: nothing is kept.
#pragma once

#include <cstddef>
#include <span>

#include "os/clock.hpp"

namespace brood::os {

struct PollItem {
  int fd = -1;            // in: negative is skipped
  bool readable = false;  // out: read() would not block: data, the end, or an error
  bool writable = false;  // out
  bool want_write = false;
  bool hangup = false;  // out: the other side is gone (there may still be data)
  bool want_read = true;
};

// Waits until an item is ready or the deadline has passed; the number of ready items, 0 for the deadline. A signal
// restarts the wait with the remaining time. A descriptor that is not open is std::system_error(EBADF).
std::size_t poll(std::span<PollItem> items, Deadline deadline);

// The same for one descriptor that becomes readable: false when the deadline has passed.
bool wait_readable(int fd, Deadline deadline);

}  // namespace brood::os
