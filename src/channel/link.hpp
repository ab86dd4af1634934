// A worker's channel, seen from its two ends.
//
// Ownership: each end owns its mappings; the memory goes with the last of them. Across fork: the dispatcher's mappings
// are not inherited (a task's or the caller's children cannot touch the rings).
#pragma once

#include "channel/layout.hpp"
#include "channel/ring.hpp"
#include "os/fd.hpp"
#include "os/memory.hpp"

namespace brood::channel {

struct RingSizes {
  std::size_t tasks = std::size_t{128} << 10U;  // bytes, powers of two, at least a page
  std::size_t results = std::size_t{128} << 10U;
};

// The memory of a new channel: zeroed and sealed against resizing.
os::Fd make_channel_memory(const RingSizes& sizes);

class DispatcherEnd {
 public:
  DispatcherEnd(int memory_fd, const RingSizes& sizes);

  Words& words() const noexcept { return *words_; }
  RingWriter tasks;
  RingReader results;

  // Wakes the worker if it sleeps. Call after publishing or releasing; contains the fence this needs.
  void wake() const noexcept;

 private:
  DispatcherEnd(os::Mapping header, os::Mapping tasks, os::Mapping results);
  os::Mapping header_, task_memory_, result_memory_;
  Words* words_;
};

class WorkerEnd {
 public:
  WorkerEnd(int memory_fd, const RingSizes& sizes);

  Words& words() const noexcept { return *words_; }
  RingReader tasks;
  RingWriter results;

  // Sleeps until the dispatcher publishes beyond `seen` (for_tasks) or releases beyond `seen` (for_space). Between
  // saying so and sleeping it calls `tell`, which may wake a dispatcher that sleeps itself.
  template <class Tell>
  void sleep(Sleep reason, std::uint64_t seen, Tell tell) const {
    words_->sleep.store(reason, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    tell();
    wait_until_changed(reason == Sleep::for_tasks ? words_->task_tail : words_->result_head, seen);
    words_->sleep.store(Sleep::awake, std::memory_order_relaxed);
  }

 private:
  WorkerEnd(os::Mapping header, os::Mapping tasks, os::Mapping results);
  static void wait_until_changed(const std::atomic<std::uint64_t>& word, std::uint64_t seen);
  os::Mapping header_, task_memory_, result_memory_;
  Words* words_;
};

// The page that a pool's dispatcher shares with all its workers.
os::Fd make_pool_memory();
class PoolPage {
 public:
  explicit PoolPage(int memory_fd, os::Access access = os::Access::read_write);
  PoolWords& words() const noexcept { return *words_; }

 private:
  os::Mapping memory_;
  PoolWords* words_;
};

}  // namespace brood::channel
