// Encoded tasks on their way to a worker.
#pragma once

#include <brood/archive.hpp>
#include <brood/detail/job.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace brood::engine {

using detail::Job;

// `count` consecutive tasks of a job in the layout of a task frame's payload.
//
// The bytes are the parcel's own, or partly those of a caller that waits (see Writer::write_stable).
class Parcel {
 public:
  Parcel* next = nullptr;
  Job* job = nullptr;  // null: nobody wants the answers any more
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t attempt = 0;
  std::uint32_t item_bytes = 0;  // the payload is that of a block frame; else 0
  bool last = false;             // the job's input ends with it
  bool posted = false;           // counted in the job

  std::uint64_t length() const noexcept { return length_; }
  std::size_t pieces() const noexcept { return hold_ ? hold_->pieces.size() : 1; }
  std::span<const std::byte> piece(std::size_t i) const noexcept {
    return hold_ ? hold_->pieces[i] : std::span(small_).first(length_);
  }

  void copy(std::span<const std::byte> bytes);
  void own(std::vector<std::byte> bytes);
  // Takes what a writer holds; bytes in the writer's window are copied, since the window is not ours.
  void take(wire::Writer&& writer, std::span<const std::byte> window);
  // The payload of another parcel that will not be sent any more.
  void take_payload(Parcel& other) noexcept;
  // Lets go of the payload.
  void clear() noexcept {
    hold_.reset();
    length_ = 0;
  }
  // Copies what is not owned, so that the parcel outlives the caller's memory.
  void detach();

 private:
  // Most tasks have a few bytes of arguments; they cost no allocation of their own.
  static constexpr std::size_t kSmall = 48;
  struct Hold {
    std::vector<std::byte> owned;
    wire::Writer writer;
    std::vector<std::span<const std::byte>> pieces;  // the payload, in order
  };
  std::uint64_t length_ = 0;
  std::unique_ptr<Hold> hold_;  // null: the payload is in small_
  std::array<std::byte, kSmall> small_;
};

inline void release(Parcel* parcel) noexcept { delete parcel; }

class ParcelQueue {
 public:
  ParcelQueue() = default;
  ParcelQueue(const ParcelQueue&) = delete;
  ParcelQueue& operator=(const ParcelQueue&) = delete;
  ~ParcelQueue() {
    while (Parcel* parcel = pop()) release(parcel);
  }

  bool empty() const noexcept { return head_ == nullptr; }
  Parcel* front() const noexcept { return head_; }
  void push(Parcel* parcel) noexcept {
    parcel->next = nullptr;
    (tail_ == nullptr ? head_ : tail_->next) = parcel;
    tail_ = parcel;
  }
  void push_front(Parcel* parcel) noexcept {
    parcel->next = head_;
    head_ = parcel;
    if (tail_ == nullptr) tail_ = parcel;
  }
  Parcel* pop() noexcept {
    Parcel* const parcel = head_;
    if (parcel == nullptr) return nullptr;
    head_ = parcel->next;
    if (head_ == nullptr) tail_ = nullptr;
    return parcel;
  }
  void append(ParcelQueue& other) noexcept {
    if (other.empty()) return;
    (tail_ == nullptr ? head_ : tail_->next) = other.head_;
    tail_ = other.tail_;
    other.head_ = other.tail_ = nullptr;
  }

 private:
  Parcel* head_ = nullptr;
  Parcel* tail_ = nullptr;
};

}  // namespace brood::engine
