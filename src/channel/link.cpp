#include "channel/link.hpp"

#include <bit>
#include <new>
#include <utility>

#include "os/clock.hpp"
#include "os/futex.hpp"

namespace brood::channel {
namespace {

// The futex is the low half of a 64-bit position, so that sleeping needs no second word to keep in step.
const std::atomic<std::uint32_t>& low_half(const std::atomic<std::uint64_t>& word) noexcept {
  static_assert(std::endian::native == std::endian::little, "brood: the low half of a position must come first");
  static_assert(sizeof(std::atomic<std::uint64_t>) == 2 * sizeof(std::atomic<std::uint32_t>));
  return *reinterpret_cast<const std::atomic<std::uint32_t>*>(&word);
}

// The memory is zeroed by the kernel, which is the initial value of every word but these.
Words* words_at(const os::Mapping& header) noexcept { return std::launder(reinterpret_cast<Words*>(header.data())); }

}  // namespace

os::Fd make_channel_memory(const RingSizes& sizes) {
  return os::make_memfd("brood-channel", kHeaderBytes + sizes.tasks + sizes.results);
}

DispatcherEnd::DispatcherEnd(int memory_fd, const RingSizes& sizes)
    : DispatcherEnd(os::Mapping::shared(memory_fd, 0, kHeaderBytes, os::Access::read_write),
                    os::Mapping::mirrored(memory_fd, kHeaderBytes, sizes.tasks, os::Access::read_write),
                    os::Mapping::mirrored(memory_fd, kHeaderBytes + sizes.tasks, sizes.results, os::Access::read)) {}

DispatcherEnd::DispatcherEnd(os::Mapping header, os::Mapping task_memory, os::Mapping result_memory)
    : tasks(task_memory.data(), task_memory.size(), words_at(header)->task_tail, words_at(header)->task_head),
      results(result_memory.data(), result_memory.size(), words_at(header)->result_head, words_at(header)->result_tail),
      header_(std::move(header)),
      task_memory_(std::move(task_memory)),
      result_memory_(std::move(result_memory)),
      words_(words_at(header_)) {
  words_->revoke_from.store(kNeverRevoked, std::memory_order_relaxed);
  header_.exclude_from_fork();
  task_memory_.exclude_from_fork();
  result_memory_.exclude_from_fork();
}

void DispatcherEnd::wake() const noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  switch (words_->sleep.load(std::memory_order_relaxed)) {
    case Sleep::awake:
      return;
    case Sleep::for_tasks:
      os::futex_wake(low_half(words_->task_tail), 1);
      return;
    case Sleep::for_space:
      os::futex_wake(low_half(words_->result_head), 1);
      return;
  }
}

WorkerEnd::WorkerEnd(int memory_fd, const RingSizes& sizes)
    : WorkerEnd(os::Mapping::shared(memory_fd, 0, kHeaderBytes, os::Access::read_write),
                os::Mapping::mirrored(memory_fd, kHeaderBytes, sizes.tasks, os::Access::read),
                os::Mapping::mirrored(memory_fd, kHeaderBytes + sizes.tasks, sizes.results, os::Access::read_write)) {}

WorkerEnd::WorkerEnd(os::Mapping header, os::Mapping task_memory, os::Mapping result_memory)
    : tasks(task_memory.data(), task_memory.size(), words_at(header)->task_head, words_at(header)->task_tail),
      results(result_memory.data(), result_memory.size(), words_at(header)->result_tail, words_at(header)->result_head),
      header_(std::move(header)),
      task_memory_(std::move(task_memory)),
      result_memory_(std::move(result_memory)),
      words_(words_at(header_)) {
  header_.exclude_from_fork();
  task_memory_.exclude_from_fork();
  result_memory_.exclude_from_fork();
}

void WorkerEnd::wait_until_changed(const std::atomic<std::uint64_t>& word, std::uint64_t seen) {
  if (word.load(std::memory_order_seq_cst) != seen) return;
  os::futex_wait(low_half(word), static_cast<std::uint32_t>(seen), os::Deadline::never());
}

os::Fd make_pool_memory() { return os::make_memfd("brood-pool", kHeaderBytes); }

PoolPage::PoolPage(int memory_fd, os::Access access)
    : memory_(os::Mapping::shared(memory_fd, 0, kHeaderBytes, access)),
      words_(std::launder(reinterpret_cast<PoolWords*>(memory_.data()))) {
  memory_.exclude_from_fork();
}

}  // namespace brood::channel
