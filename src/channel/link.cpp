#include "channel/link.hpp"

#include <bit>
#include <cstring>
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

// The memory is zeroed, which is the initial value of every word but one.
Words* words_at(const os::Mapping& memory) noexcept { return std::launder(reinterpret_cast<Words*>(memory.data())); }

constexpr std::size_t bytes_of(const RingSizes& sizes) noexcept { return kHeaderBytes + sizes.results + sizes.tasks; }

// Where a mapping has the rings: each of them twice in a row, behind the words.
std::byte* results_at(const os::Mapping& memory) noexcept { return memory.data() + kHeaderBytes; }
std::byte* tasks_at(const os::Mapping& memory, const RingSizes& sizes) noexcept {
  return results_at(memory) + 2 * sizes.results;
}

os::Mapping map_dispatcher(int memory_fd, const RingSizes& sizes, std::size_t channel) {
  using enum os::Access;
  const std::size_t begin = channel * bytes_of(sizes);
  const os::Piece results{begin + kHeaderBytes, sizes.results, read};
  const os::Piece tasks{begin + kHeaderBytes + sizes.results, sizes.tasks, read_write};
  const os::Piece pieces[] = {{begin, kHeaderBytes, read_write}, results, results, tasks, tasks};
  return os::Mapping::side_by_side(memory_fd, pieces);
}

os::Mapping map_worker(int memory_fd, const RingSizes& sizes, std::size_t channel) {
  using enum os::Access;
  const std::size_t begin = channel * bytes_of(sizes);
  const os::Piece results{begin + kHeaderBytes, sizes.results, read_write};
  const os::Piece tasks{begin + kHeaderBytes + sizes.results, sizes.tasks, read};
  // The words and the first view of the result ring in one.
  const os::Piece pieces[] = {{begin, kHeaderBytes + sizes.results, read_write}, results, tasks, tasks};
  return os::Mapping::side_by_side(memory_fd, pieces);
}

}  // namespace

os::Fd make_channel_memory(const RingSizes& sizes, std::size_t channels) {
  return os::make_memfd("brood-channel", channels * bytes_of(sizes));
}

os::Fd make_growing_channel_memory(const RingSizes& sizes, std::size_t channels) {
  return os::make_growing_memfd("brood-channels", channels * bytes_of(sizes));
}

void grow_channel_memory(int memory_fd, const RingSizes& sizes, std::size_t channels) {
  os::grow_memfd(memory_fd, channels * bytes_of(sizes));
}

void discard_channel_memory(int memory_fd, const RingSizes& sizes, std::size_t channels) noexcept {
  os::discard_memfd(memory_fd, channels * bytes_of(sizes));
}

std::shared_ptr<os::Mapping> DispatcherEnd::map(int memory_fd, const RingSizes& sizes, std::size_t channel) {
  auto memory = std::make_shared<os::Mapping>(map_dispatcher(memory_fd, sizes, channel));
  memory->exclude_from_fork();
  return memory;
}

DispatcherEnd::DispatcherEnd(std::shared_ptr<os::Mapping> memory, const RingSizes& sizes)
    : tasks(tasks_at(*memory, sizes), sizes.tasks, words_at(*memory)->task_tail, words_at(*memory)->task_head),
      results(results_at(*memory), sizes.results, words_at(*memory)->result_head, words_at(*memory)->result_tail),
      memory_(std::move(memory)),
      words_(words_at(*memory_)) {
  words_->revoke_from.store(kNeverRevoked, std::memory_order_relaxed);
}

// The rings' bytes may stay: nothing counts that was not published.
void DispatcherEnd::renew(os::Mapping& memory) noexcept { std::memset(memory.data(), 0, kHeaderBytes); }

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

WorkerEnd::WorkerEnd(int memory_fd, const RingSizes& sizes, std::size_t channel)
    : WorkerEnd(map_worker(memory_fd, sizes, channel), sizes) {}

WorkerEnd::WorkerEnd(os::Mapping memory, const RingSizes& sizes)
    : tasks(tasks_at(memory, sizes), sizes.tasks, words_at(memory)->task_head, words_at(memory)->task_tail),
      results(results_at(memory), sizes.results, words_at(memory)->result_tail, words_at(memory)->result_head),
      memory_(std::move(memory)),
      words_(words_at(memory_)) {
  memory_.exclude_from_fork();
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
