// The words of a progress bar that its counters and its drawer share.
//
// Thread safety: all three words may be written by any thread. Address-free, so that they may lie in shared memory.
// Across fork: a copy in ordinary memory counts for the child alone.
#pragma once

#include <atomic>
#include <cstdint>

namespace brood::detail {

struct alignas(64) ProgressCounter {
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  static constexpr std::uint64_t kNever = UINT64_MAX;

  std::atomic<std::uint64_t> n{0};
  // Below this count there is nothing to do but count: it is where the clock is read next.
  std::atomic<std::uint64_t> wake{0};
  std::atomic<std::uint64_t> total{kUnknown};
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(ProgressCounter) == 64);

}  // namespace brood::detail
