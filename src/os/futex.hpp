// Sleeping on a word of memory, across processes.
//
// std::atomic::wait will not do: libstdc++ uses process-private futexes, which never wake another process.
//
// Thread and process safety: all. Across fork: parent and child wake each other through a word in shared memory.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/clock.hpp"

namespace brood::os {

// Sleeps while `word` holds `expected`. False only when the deadline has passed; true on a wake-up, when the word is
// different already, on a signal and for no reason at all: the caller looks at the word again and loops.
bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline);

// Wakes at most `count` sleepers; the number woken.
int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

}  // namespace brood::os
