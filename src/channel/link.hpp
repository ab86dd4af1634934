// A worker's channel, seen from its two ends.
//
// Ownership: each end keeps its mapping, the dispatcher's together with whoever made it; the memory goes with the last
// mapping. Across fork: no mapping is inherited (a task's or the caller's children cannot touch the rings).
#pragma once

#include <memory>

#include "channel/layout.hpp"
#include "channel/ring.hpp"
#include "os/fd.hpp"
#include "os/memory.hpp"

namespace brood::channel {

struct RingSizes {
  std::size_t tasks = std::size_t{128} << 10U;  // bytes, powers of two, at least a page
  std::size_t results = std::size_t{128} << 10U;
};

// The memory of so many new channels: zeroed and sealed against resizing.
os::Fd make_channel_memory(const RingSizes& sizes, std::size_t channels = 1);
// The same, which grow_channel_memory() can make larger; nothing can make it smaller.
os::Fd make_growing_channel_memory(const RingSizes& sizes, std::size_t channels);
void grow_channel_memory(int memory_fd, const RingSizes& sizes, std::size_t channels);
// Frees it, even if a forked process has the descriptor and never closes it. No channel of it may be in use.
void discard_channel_memory(int memory_fd, const RingSizes& sizes, std::size_t channels) noexcept;

class DispatcherEnd {
 public:
  DispatcherEnd(int memory_fd, const RingSizes& sizes) : DispatcherEnd(map(memory_fd, sizes, 0), sizes) {}
  // Of a mapping that map() made.
  DispatcherEnd(std::shared_ptr<os::Mapping> memory, const RingSizes& sizes);

  // The memory of channel number `channel`, from 0, as this end uses it.
  static std::shared_ptr<os::Mapping> map(int memory_fd, const RingSizes& sizes, std::size_t channel);
  // Makes a channel as new. Nobody else may use it any more: neither another process nor an end of this one.
  static void renew(os::Mapping& memory) noexcept;

  Words& words() const noexcept { return *words_; }
  RingWriter tasks;
  RingReader results;

  // Wakes the worker if it sleeps. Call after publishing or releasing; contains the fence this needs.
  void wake() const noexcept;

 private:
  std::shared_ptr<os::Mapping> memory_;
  Words* words_;
};

class WorkerEnd {
 public:
  WorkerEnd(int memory_fd, const RingSizes& sizes, std::size_t channel = 0);

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
  WorkerEnd(os::Mapping memory, const RingSizes& sizes);
  static void wait_until_changed(const std::atomic<std::uint64_t>& word, std::uint64_t seen);
  os::Mapping memory_;
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
