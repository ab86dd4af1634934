// Buffered output around a fork: every byte is written once, by the process that produced it.
//
// Thread safety: see each function. Across fork: that is what this is for.
#pragma once

namespace brood::os {

// Before a fork: writes what is buffered in stdout, stderr and the standard C++ streams, and in every other stdio
// stream when this is the only thread. Skips what another thread holds at the moment; never waits for a lock.
void flush_output_before_fork() noexcept;

// In the child, which has one thread: forgets output that was still buffered; the parent will write it.
void discard_inherited_output() noexcept;

// At the end of a process: writes everything that is buffered.
void flush_all_output() noexcept;

}  // namespace brood::os
