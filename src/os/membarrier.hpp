// A memory barrier on every running thread of all registered processes (membarrier(2),
// MEMBARRIER_CMD_GLOBAL_EXPEDITED): the seldom side of a protocol pays, so that the frequent side needs no barrier at
// all.
#pragma once

namespace brood::os {

// Registers the calling process; for both sides. False: this kernel or sandbox has no such call.
bool register_membarrier() noexcept;
// Returns after every registered process has passed a full barrier. Costs microseconds. Aborts if it is refused after
// it was granted: the caller's protocol would be broken.
void membarrier() noexcept;

}  // namespace brood::os
