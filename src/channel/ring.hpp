// The two ends of a single-writer byte ring in shared memory.
//
// The memory is mapped twice side by side, so every window is contiguous. Each end keeps its own position privately and
// only publishes it; what it reads of the other end is copied once and checked.
//
// Thread safety: each end belongs to one thread at a time. Across fork: the copies in a child must not be used.
#pragma once

#include <brood/error.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace brood::channel {

class RingWriter {
 public:
  RingWriter(std::byte* data, std::size_t capacity, std::atomic<std::uint64_t>& tail,
             const std::atomic<std::uint64_t>& head) noexcept
      : data_(data), capacity_(capacity), tail_word_(&tail), head_word_(&head) {}

  std::size_t capacity() const noexcept { return capacity_; }
  std::uint64_t position() const noexcept { return tail_; }
  bool empty() { return tail_ == refresh(); }
  // The other end published a position that cannot be: nothing of this ring can be believed any more. There is no room
  // from then on.
  bool damaged() const noexcept { return damaged_; }

  // The free bytes, at least `wanted` of them if there are that many. Asks the other end only when needed.
  std::span<std::byte> window(std::size_t wanted) {
    if (capacity_ - (tail_ - head_) < wanted) refresh();
    return {data_ + (tail_ & (capacity_ - 1)), capacity_ - static_cast<std::size_t>(tail_ - head_)};
  }
  // Bytes that were published and are still in the ring, at `position`.
  const std::byte* at(std::uint64_t position) const noexcept { return data_ + (position & (capacity_ - 1)); }

  // Makes the first `bytes` of the window readable by the other end: the one commit.
  void publish(std::size_t bytes) noexcept {
    tail_ += bytes;
    tail_word_->store(tail_, std::memory_order_release);
  }

 private:
  std::uint64_t refresh() {
    const std::uint64_t head = head_word_->load(std::memory_order_acquire);
    if (head - head_ > tail_ - head_) {  // modulo 2^64: not within [head_, tail_]
      damaged_ = true;
      head_ = tail_ - capacity_;
      return head_;
    }
    return head_ = damaged_ ? tail_ - capacity_ : head;
  }

  std::byte* data_;
  std::size_t capacity_;
  std::atomic<std::uint64_t>* tail_word_;
  const std::atomic<std::uint64_t>* head_word_;
  std::uint64_t tail_ = 0;
  std::uint64_t head_ = 0;
  bool damaged_ = false;
};

class RingReader {
 public:
  RingReader(const std::byte* data, std::size_t capacity, std::atomic<std::uint64_t>& head,
             const std::atomic<std::uint64_t>& tail) noexcept
      : data_(data), capacity_(capacity), head_word_(&head), tail_word_(&tail) {}

  std::size_t capacity() const noexcept { return capacity_; }

  // The published bytes that were not consumed. Asks the other end only when none are left.
  std::span<const std::byte> window() {
    if (head_ == tail_) refresh();
    return {data_ + (head_ & (capacity_ - 1)), static_cast<std::size_t>(tail_ - head_)};
  }
  // As window(), but with everything that is there now.
  std::span<const std::byte> fresh_window() {
    refresh();
    return window();
  }
  std::uint64_t position() const noexcept { return head_; }
  bool ready() const noexcept { return head_ != tail_ || tail_word_->load(std::memory_order_acquire) != head_; }

  // Bytes that were consumed and not yet released.
  const std::byte* at(std::uint64_t position) const noexcept { return data_ + (position & (capacity_ - 1)); }
  // Steps over bytes; the writer may reuse them only after release().
  void consume(std::size_t bytes) noexcept { head_ += bytes; }
  void release() noexcept { release(head_); }
  // Only what lies before `position`.
  void release(std::uint64_t position) noexcept { head_word_->store(position, std::memory_order_release); }

 private:
  void refresh() {
    const std::uint64_t tail = tail_word_->load(std::memory_order_acquire);
    if (tail - tail_ > head_ + capacity_ - tail_) {  // not within [tail_, head_ + capacity_]
      throw ArchiveError("ring: the writer's position is not within the ring");
    }
    tail_ = tail;
  }

  const std::byte* data_;
  std::size_t capacity_;
  std::atomic<std::uint64_t>* head_word_;
  const std::atomic<std::uint64_t>* tail_word_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
};

}  // namespace brood::channel
