// What every part of a worker uses of its channel: the numbers of its tasks, the ledger, the dispatcher's bell.
//
// Thread safety: as worker.hpp.
#pragma once

#include <atomic>
#include <cstdint>

#include "channel/link.hpp"
#include "os/clock.hpp"
#include "os/cpu.hpp"
#include "os/event.hpp"
#include "os/fork.hpp"
#include "os/membarrier.hpp"

namespace brood::engine {

class WorkerSide {
 public:
  static constexpr std::int64_t kLongestSpinNs = 50'000;

  WorkerSide(channel::WorkerEnd& link, channel::PoolPage& page, os::Event& doorbell)
      : link_(link), page_(page), doorbell_(doorbell) {}

  channel::WorkerEnd& link() noexcept { return link_; }
  channel::Words& words() const noexcept { return link_.words(); }
  // Of the last task that was taken.
  std::uint64_t sequence() const noexcept { return sequence_; }
  // The batch's tasks may be taken without a fence of their own.
  bool membarrier() const noexcept { return membarrier_; }

  // Claims the next task. False: it was revoked before. The order of the two accesses is the protocol: the dispatcher
  // writes `revoke_from` first and reads `taken` second, and one of the sides has a barrier between them: the worker
  // here, or, for the tasks of a batch, the dispatcher on behalf of both.
  bool take(bool fence) {
    ++sequence_;
    words().taken.store(sequence_, std::memory_order_release);
    if (fence) {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ring(false);
    return sequence_ < words().revoke_from.load(std::memory_order_relaxed);
  }

  // Steps over tasks that were revoked.
  void skip(std::uint32_t count) noexcept { sequence_ += count; }

  // Rings the dispatcher's bell if it sleeps: always when `now`, else once the answer it waits for is committed. The
  // caller has passed a full fence since its last store.
  void ring(bool now) noexcept {
    const std::uint32_t epoch = page_.words().sleep_epoch.load(std::memory_order_acquire);
    if (epoch == 0 || epoch == rung_) return;
    if (!now && sequence_ - 1 < words().wake_at.load(std::memory_order_relaxed)) return;
    rung_ = epoch;
    doorbell_.set();
  }

  // A task forked and its child came back here. The child has nothing to answer and must not touch the rings.
  void leave_if_forked() const {
    if (os::fork_generation() != generation_) os::exit_process(0);
  }

  // Waits a little without sleeping, if there is a core for it; looks once in so many pauses.
  template <class Ready>
  bool spin(std::int64_t for_ns, Ready ready, int pauses = 1) const {
    const channel::PoolWords& pool = page_.words();
    if (pool.busy_workers.load(std::memory_order_relaxed) >= pool.cpus.load(std::memory_order_relaxed)) return false;
    const std::int64_t until_ns = os::now_ns() + for_ns;
    do {
      for (int i = 0; i < 32; i += pauses) {
        if (ready()) return true;
        for (int k = 0; k < pauses; ++k) os::cpu_relax();
      }
    } while (os::now_ns() < until_ns);
    return false;
  }

  // Sleeps until the other side moves the word, after the bell.
  void sleep_for_tasks() {
    link_.sleep(channel::Sleep::for_tasks, link_.tasks.position(), [this] { ring(true); });
  }
  void sleep_for_space(std::uint64_t seen) {
    link_.sleep(channel::Sleep::for_space, seen, [this] { ring(true); });
  }

 private:
  channel::WorkerEnd& link_;
  channel::PoolPage& page_;
  os::Event& doorbell_;
  const std::uint64_t generation_ = os::fork_generation();
  const bool membarrier_ = os::register_membarrier();
  std::uint64_t sequence_ = 0;
  std::uint32_t rung_ = 0;
};

}  // namespace brood::engine
