// The worker's side of the pool: takes frames from its task ring, runs them, answers in its result ring.
//
// Thread safety: runs in the one thread of a worker process. Across fork: a child that a task leaves behind ends when
// the task returns in it; it cannot touch the rings.
#pragma once

#include "channel/link.hpp"
#include "os/event.hpp"

namespace brood::engine {

// Serves until it is told to stop; the result is the exit code.
int serve(channel::WorkerEnd& link, channel::PoolPage& page, os::Event& doorbell);

}  // namespace brood::engine
