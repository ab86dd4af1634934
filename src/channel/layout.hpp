// The shared words of one worker's channel. src/channel/README.md explains the protocol.
//
// In a memfd: this page, then the result ring, then the task ring; then those of the next channel. Every word has
// exactly one writer; words of one writer that are read at different rhythms stand in cache lines of their own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace brood::channel {

inline constexpr std::size_t kLine = 64;
inline constexpr std::size_t kHeaderBytes = 4096;
inline constexpr std::uint64_t kNeverRevoked = ~std::uint64_t{0};

enum class WorkerState : std::uint32_t { starting = 0, ready = 1, stopping = 2 };
enum class Sleep : std::uint32_t { awake = 0, for_tasks = 1, for_space = 2 };

struct Words {
  // Written by the dispatcher only.
  alignas(kLine) std::atomic<std::uint64_t> task_tail;    // bytes published in the task ring
  alignas(kLine) std::atomic<std::uint64_t> result_head;  // bytes consumed from the result ring
  alignas(kLine) std::atomic<std::uint64_t> revoke_from;  // tasks from this sequence number on may not be taken
  std::atomic<std::uint64_t> wake_at;                     // ring the doorbell once this task is answered
  std::atomic<std::uint32_t> wants_space;                 // ring the doorbell when the task ring has room

  // Written by the worker only.
  alignas(kLine) std::atomic<std::uint64_t> task_head;    // bytes consumed from the task ring
  alignas(kLine) std::atomic<std::uint64_t> result_tail;  // bytes published in the result ring
  std::atomic<std::uint64_t> taken;                       // the ledger: sequence number of the last task taken
  alignas(kLine) std::atomic<Sleep> sleep;                // what the worker sleeps for
  std::atomic<WorkerState> state;
  alignas(kLine) std::atomic<std::uint64_t> busy_ns;  // time spent in tasks ...
  std::atomic<std::uint64_t> timed_tasks;             // ... and how many tasks that was
};

static_assert(std::is_standard_layout_v<Words> && std::is_trivially_destructible_v<Words>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(Words) <= kHeaderBytes);

// One page for the whole pool, written by the dispatcher only.
struct PoolWords {
  alignas(kLine) std::atomic<std::uint32_t> sleep_epoch;  // 0: the dispatcher is awake; else a number new at each sleep
  alignas(kLine) std::atomic<std::uint32_t> busy_workers;
  std::atomic<std::uint32_t> cpus;
};

}  // namespace brood::channel
