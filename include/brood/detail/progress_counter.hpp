// The words of a progress bar that its counters and its drawer share.
//
// Thread safety: any thread may write every word but `loop`. Address-free, so that they may lie in shared memory.
// Across fork: a copy in ordinary memory counts for the child alone.
#pragma once

#include <atomic>
#include <cstdint>

namespace brood::detail {

struct alignas(64) ProgressCounter {
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  static constexpr std::uint64_t kNever = UINT64_MAX;

  // What is done is the sum, modulo 2^64, of what update() counts and of what the one loop over progress(range) counts.
  // The loop has a word of its own because it can then do without a locked instruction.
  std::atomic<std::uint64_t> n{0};
  std::atomic<std::uint64_t> loop{0};
  // Below this count there is nothing to do but count: it is where the clock is read next.
  std::atomic<std::uint64_t> wake{0};
  std::atomic<std::uint64_t> total{kUnknown};

  std::uint64_t count() const noexcept {
    return n.load(std::memory_order_relaxed) + loop.load(std::memory_order_relaxed);
  }
  void set_count(std::uint64_t count) noexcept {
    n.store(count - loop.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(ProgressCounter) == 64);

}  // namespace brood::detail
